#include "model/gid_pattern.h"

#include "base/error.h"
#include "base/log.h"

#include "model/gid_preset.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <mutex>
#include <regex>

namespace tidemark::model {
namespace {

constexpr std::string_view kRegexPrefix = "regex:";
constexpr std::size_t kMaxPattern = 256;

base::Error refused(std::string_view text, std::string_view why)
{
    return base::Error{base::Code::usage,
                       fmt::format("gid_pattern \"{}\": {}", base::escape_controls(text), why),
                       {.hint =
                            "write \"identical\", the name of a driver, or \"regex:\" and an "
                            "expression that matches "
                            "the whole gid and has one pair of parentheses around the part that "
                            "all branches of a transaction share"}};
}

} // namespace

struct GidPattern::Matcher {
    GidRule preset = nullptr; ///< or
    std::regex regex = {};
};

GidPattern GidPattern::parse(std::string_view text)
{
    GidPattern pattern;
    if (text == "identical") return pattern;
    if (auto preset = gid_preset(text)) {
        pattern.text_ = text;
        pattern.matcher_ = std::make_shared<Matcher>(Matcher{.preset = preset});
        return pattern;
    }
    if (!text.starts_with(kRegexPrefix))
        throw refused(text, fmt::format("none of \"identical\", \"{}\", \"regex:...\"",
                                        fmt::join(gid_preset_names(), "\", \"")));
    std::string expression(text.substr(kRegexPrefix.size()));
    if (expression.empty()) throw refused(text, "the expression is empty");
    if (expression.size() > kMaxPattern) {
        throw refused(text, fmt::format("longer than {} bytes", kMaxPattern));
    }
    auto matcher = std::make_shared<Matcher>();
    try {
        // Members are read side by side, and while libstdc++ compiles an expression it fills a
        // cache of the process's std::ctype without a lock (the thread sanitizer tells of it).
        static std::mutex compiling;
        std::lock_guard lock{compiling};
        // The default matcher of libstdc++ backtracks and can take exponential time and deep
        // recursion; this flag selects its breadth-first one, which also refuses back-references.
        matcher->regex.assign(expression, std::regex::ECMAScript | std::regex::optimize |
                                              std::regex_constants::__polynomial);
    } catch (const std::regex_error& error) {
        throw refused(text, error.what());
    }
    if (matcher->regex.mark_count() != 1) {
        throw refused(text, fmt::format("has {} captures, and must have one; write (?:...) for "
                                        "parentheses that only group",
                                        matcher->regex.mark_count()));
    }
    pattern.text_ = text;
    pattern.matcher_ = std::move(matcher);
    return pattern;
}

std::optional<std::string> GidPattern::global_id(std::string_view gid) const
{
    if (identical()) return std::string(gid);
    if (gid.size() > kMaxGid) return std::nullopt;
    if (matcher_->preset != nullptr) return matcher_->preset(gid);
    std::match_results<std::string_view::const_iterator> match;
    if (!std::regex_match(gid.begin(), gid.end(), match, matcher_->regex)) return std::nullopt;
    if (!match[1].matched || match.length(1) == 0) return std::nullopt;
    return match.str(1);
}

} // namespace tidemark::model
