#include "repo/marks.h"

#include "base/error.h"
#include "repo/layout.h"
#include "repo/sequence_items.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace tidemark::repo {

using base::Code;
using base::Error;

namespace {

std::optional<model::Number> parse_number(std::string_view text)
{
    if (text.starts_with("m-")) text.remove_prefix(2);
    model::Number number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size() || number == 0 ||
        number > model::kMaxNumber)
        return std::nullopt;
    return number;
}

} // namespace

std::string mark_id(model::Number number)
{
    return fmt::format("m-{}", number);
}

MarkSelector parse_mark_selector(std::string_view text)
{
    if (text.empty() || text == "latest") return {};
    MarkSelector out;
    if (auto number = parse_number(text)) {
        out.kind = MarkSelector::Kind::number;
        out.number = *number;
    } else if (auto time = base::parse_time(text)) {
        out.kind = MarkSelector::Kind::time;
        out.time = *time;
    } else {
        out.kind = MarkSelector::Kind::name;
        out.name = std::string(text);
    }
    return out;
}

Marks::Marks(store::Storage& storage, const std::string& group)
    : group_(group), sequence_(storage, marks_prefix(group))
{
}

std::optional<StoredMark> Marks::load(model::Number number) const
{
    return load_asked(sequence_, number, decode_mark);
}

std::optional<StoredMark> Marks::latest() const
{
    return latest([](const model::Mark&) { return true; });
}

std::optional<StoredMark> Marks::latest(const std::function<bool(const model::Mark&)>& fits) const
{
    auto all = numbers();
    for (auto at = all.rbegin(); at != all.rend(); ++at) {
        auto mark = load_readable(sequence_, *at, decode_mark);
        if (mark && !mark->value.is_moment() && fits(mark->value)) return mark;
    }
    return std::nullopt;
}

std::vector<StoredMark> Marks::list(std::size_t limit) const
{
    return list_items(sequence_, limit, decode_mark);
}

std::optional<StoredMark> Marks::find(const MarkSelector& selector) const
{
    using Kind = MarkSelector::Kind;
    if (selector.kind == Kind::latest) return latest();
    if (selector.kind == Kind::number) return load(selector.number);
    // Clocks step back, so times do not grow with the numbers: no bisection, the newest that fits.
    auto all = numbers();
    for (auto at = all.rbegin(); at != all.rend(); ++at) {
        auto mark = load_readable(sequence_, *at, decode_mark);
        if (!mark) continue;
        bool fits = selector.kind == Kind::name
                        ? mark->value.name == selector.name
                        : mark->value.created <= selector.time && !mark->value.is_moment();
        if (fits) return mark;
    }
    return std::nullopt;
}

namespace {

} // namespace

bool begins_like_a_date(std::string_view text)
{
    constexpr std::string_view kForm = "dddd-dd-dd";
    if (text.size() < kForm.size()) return false;
    for (std::size_t i = 0; i < kForm.size(); ++i) {
        bool digit = text[i] >= '0' && text[i] <= '9';
        if (kForm[i] == 'd' ? !digit : text[i] != '-') return false;
    }
    return true;
}

StoredMark Marks::need(std::string_view text) const
{
    auto found = find(parse_mark_selector(text));
    if (found) return std::move(*found);
    auto all = numbers();
    if (all.empty())
        throw Error{Code::usage,
                    fmt::format("group {} has no mark yet", group_),
                    {.hint = "run `tidemark backup`, which ends with one"}};
    if (parse_mark_selector(text).kind == MarkSelector::Kind::name && begins_like_a_date(text))
        throw Error{
            Code::usage,
            fmt::format("\"{}\" is not a time, and no mark of group {} is called so", text, group_),
            {.hint = "such as 2026-11-22T14:30:00Z or '2026-11-22 15:30:00 +01:00'; names "
                     "of time zones are not known here"}};
    throw Error{Code::usage,
                fmt::format("group {} has no mark \"{}\"; there are {} to {}", group_, text,
                            mark_id(all.front()), mark_id(all.back())),
                {.hint = "`tidemark list marks` shows them with names and times"}};
}

void Marks::refuse_taken(const std::string& name) const
{
    auto selector = parse_mark_selector(name);
    if (selector.kind != MarkSelector::Kind::name)
        throw Error{Code::usage,
                    fmt::format("a mark cannot be called \"{}\": that selects a mark by its {}",
                                name,
                                selector.kind == MarkSelector::Kind::latest   ? "age"
                                : selector.kind == MarkSelector::Kind::number ? "number"
                                                                              : "time"),
                    {.hint = "choose a name that is neither a number nor a time"}};
    if (auto taken = find(selector))
        throw Error{Code::usage,
                    fmt::format("mark {} of {} is called \"{}\" already", mark_id(taken->number()),
                                base::format_time_human(taken->value.created), name),
                    {.hint = "a name belongs to one mark of a group; choose another one"}};
}

StoredMark Marks::append(const Lease& lease, const model::Mark& mark) const
{
    StoredMark out;
    out.value = mark;
    out.value.group = group_;
    auto committed = sequence_.append(
        &lease, [&](const CommitHeader& header) { return encode_mark(out.value, header); });
    out.value.number = committed.header.number;
    out.value.id = mark_id(committed.header.number);
    out.header = std::move(committed.header);
    out.object = std::move(committed.object);
    return out;
}

} // namespace tidemark::repo
