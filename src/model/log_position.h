#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidemark::model {

/// Byte offset in a member's log; an LSN in PostgreSQL.
using Offset = std::uint64_t;
/// Branch of a member's history; a timeline in PostgreSQL.
using Epoch = std::uint32_t;

/// A position in a member's log. There is no operator<: positions compare only along one history
/// (rules.md 13), see History::order.
struct LogPosition {
    Epoch epoch = 0;
    Offset offset = 0;
    friend bool operator==(const LogPosition&, const LogPosition&) = default;
};

/// [from, to) of one epoch.
struct LogRange {
    Epoch epoch = 0;
    Offset from = 0;
    Offset to = 0;
    friend bool operator==(const LogRange&, const LogRange&) = default;
};

/// PostgreSQL's way to write an offset: "16/B374D848".
std::string format_offset(Offset offset);
std::optional<Offset> parse_offset(std::string_view text);
/// "16/B374D848" on epoch 1, "16/B374D848@3" elsewhere.
std::string format_position(const LogPosition& position);
std::optional<LogPosition> parse_position(std::string_view text);

/// How the epoch of a position came to be: the parent epochs and where each was left.
class History {
public:
    struct Step {
        Epoch epoch = 0;
        Offset left_at = 0; ///< the child begins here
        friend bool operator==(const Step&, const Step&) = default;
    };

    explicit History(Epoch current = 1, std::vector<Step> ancestors = {});

    Epoch current() const { return current_; }
    const std::vector<Step>& ancestors() const { return ancestors_; }
    /// Does this history pass through `position`?
    bool contains(const LogPosition& position) const;
    /// Order of two positions of this history; throws Error{identity_mismatch} when one lies
    /// outside it.
    std::strong_ordering order(const LogPosition& a, const LogPosition& b) const;
    /// The epoch that holds the byte at `offset`.
    Epoch epoch_at(Offset offset) const;
    friend bool operator==(const History&, const History&) = default;

private:
    Epoch current_;
    std::vector<Step> ancestors_; ///< oldest first
};

/// Parses a timeline history file ("1\t0/3000000\treason"); the file's own number is `current`.
/// Comments and empty lines are allowed; anything else is Error{failed}.
History parse_history(Epoch current, std::string_view text);

} // namespace tidemark::model
