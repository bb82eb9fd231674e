#include "model/log_position.h"

#include "base/error.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace tidemark::model {

namespace {

using base::Code;
using base::Error;

constexpr std::string_view kBlanks = " \t\r\f\v";

/// Cuts the next word off `line`; empty at its end.
std::string_view next_word(std::string_view& line)
{
    auto begin = line.find_first_not_of(kBlanks);
    if (begin == std::string_view::npos) {
        line = {};
        return {};
    }
    auto end = std::min(line.find_first_of(kBlanks, begin), line.size());
    auto word = line.substr(begin, end - begin);
    line.remove_prefix(end);
    return word;
}

/// One line of a history file, without its newline; empty for comments and blank lines.
std::optional<History::Step> parse_step(Epoch current, std::string_view line, std::size_t number)
{
    std::string_view rest = line;
    auto epoch_text = next_word(rest);
    if (epoch_text.empty() || epoch_text.front() == '#') return std::nullopt;

    History::Step step;
    auto [end, failure] =
        std::from_chars(epoch_text.data(), epoch_text.data() + epoch_text.size(), step.epoch, 10);
    auto left_at = parse_offset(next_word(rest));
    if (failure != std::errc{} || end != epoch_text.data() + epoch_text.size() || !left_at)
        throw Error(Code::failed,
                    fmt::format("line {} of the history file of timeline {} cannot be read: it "
                                "should hold a timeline and the position where it was left",
                                number, current));
    step.left_at = *left_at;
    return step;
}

} // namespace

History::History(Epoch current, std::vector<Step> ancestors)
    : current_(current), ancestors_(std::move(ancestors))
{
    Epoch before = 0;
    Offset begins_at = 0;
    for (const Step& step : ancestors_) {
        if (step.epoch <= before || step.epoch >= current_ || step.left_at < begins_at)
            throw Error(Code::failed,
                        fmt::format("the history of timeline {} is out of order at timeline {}, "
                                    "left at {}",
                                    current_, step.epoch, format_offset(step.left_at)));
        before = step.epoch;
        begins_at = step.left_at;
    }
}

bool History::contains(const LogPosition& position) const
{
    Offset begins_at = 0;
    for (const Step& step : ancestors_) {
        if (position.epoch == step.epoch)
            return position.offset >= begins_at && position.offset <= step.left_at;
        begins_at = step.left_at;
    }
    return position.epoch == current_ && position.offset >= begins_at;
}

std::strong_ordering History::order(const LogPosition& a, const LogPosition& b) const
{
    for (const LogPosition& position : {a, b})
        if (!contains(position))
            throw Error(Code::identity_mismatch,
                        fmt::format("position {} on timeline {} is not part of the history of "
                                    "timeline {}",
                                    format_offset(position.offset), position.epoch, current_),
                        {.hint = "the log was abandoned there by a failover or a restore; "
                                 "positions on different branches cannot be compared"});
    return a.offset <=> b.offset;
}

Epoch History::epoch_at(Offset offset) const
{
    for (const Step& step : ancestors_)
        if (offset < step.left_at) return step.epoch;
    return current_;
}

History parse_history(Epoch current, std::string_view text)
{
    std::vector<History::Step> ancestors;
    std::size_t number = 0;
    while (!text.empty()) {
        auto end = std::min(text.find('\n'), text.size());
        if (auto step = parse_step(current, text.substr(0, end), ++number))
            ancestors.push_back(*step);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return History(current, std::move(ancestors));
}

} // namespace tidemark::model
