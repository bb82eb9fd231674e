#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace tidemark::model {

/// Tells which distributed transaction a branch belongs to, from the branch's gid.
///
/// "identical": the gid is the global id.
/// "regex:RE":  RE must match the whole gid (ECMAScript, no back-references) and has exactly one
///              capture, the global id. Matching is polynomial in the gid's length, never
///              exponential.
/// "psycopg", "pgjdbc", "citus": what those write, see gid_preset.h.
///
/// A gid that does not match belongs to a coordinator nobody told us about: the branch stands
/// alone, takes no part in cuts, and when it is in doubt its verdict is unknown.
class GidPattern {
public:
    /// PostgreSQL's GIDSIZE: longer gids do not exist, and are never matched.
    static constexpr std::size_t kMaxGid = 200;

    /// The identical pattern.
    GidPattern() = default;
    /// Throws Error{usage} that quotes the pattern and says what is wrong with it.
    static GidPattern parse(std::string_view text);

    /// The global id of `gid`; nullopt when the pattern does not match or captures nothing.
    std::optional<std::string> global_id(std::string_view gid) const;
    bool identical() const { return matcher_ == nullptr; }
    /// As it was written in the configuration.
    const std::string& text() const { return text_; }
    friend bool operator==(const GidPattern& a, const GidPattern& b) { return a.text_ == b.text_; }

private:
    struct Matcher;
    std::string text_ = "identical";
    std::shared_ptr<const Matcher> matcher_;
};

} // namespace tidemark::model
