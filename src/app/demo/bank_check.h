#pragma once

#include "app/demo/bank.h"
#include "app/demo/witness.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tidemark::app {

/// What one member's databases hold of the bank.
struct BankBooks {
    struct Row {
        std::uint64_t id = 0;
        int participants = 0;
        std::int64_t delta = 0;
    };
    std::string member = {};
    std::int64_t balance = 0;               ///< of all its accounts
    std::int64_t opening = 0;               ///< what it began with
    std::vector<Row> rows = {};             ///< one per branch that committed here
    std::vector<std::string> in_doubt = {}; ///< gids still prepared
};

/// Reads one member, live or restored. Errors: base::Error.
BankBooks read_books(const BankOptions& options, const BankMember& member);

/// When a mark was placed, on the witness's clock.
struct MarkWindow {
    Instant first_sent;    ///< before the first restore point was asked for
    Instant last_returned; ///< after the last one had answered
};

/// What the invariants say about a set of books. Counts are of transfers.
struct BankVerdict {
    std::int64_t expected_total = 0;
    std::int64_t total = 0;
    std::map<std::string, std::int64_t> balance = {}; ///< per member
    std::uint64_t present = 0;                        ///< transfers with at least one row
    std::uint64_t torn = 0;          ///< rows on some participants only, and not in doubt elsewhere
    std::uint64_t torn_in_doubt = 0; ///< the same, but the missing part is still prepared
    std::uint64_t in_doubt = 0;      ///< prepared transactions, all members
    std::uint64_t missing = 0;       ///< acknowledged before the mark, not fully present
    std::uint64_t too_new = 0;       ///< begun after the mark, present
    std::uint64_t undead = 0;        ///< rolled back, present
    std::uint64_t strangers = 0;     ///< rows that no client wrote, or wrote otherwise
    std::uint64_t unbalanced = 0;    ///< members whose balances do not follow from their rows
    std::vector<std::string> examples = {}; ///< a few, for people

    bool money_conserved() const { return total == expected_total; }
    /// Every invariant holds. In-doubt transactions alone are no violation.
    bool clean() const;
    /// One line.
    std::string describe() const;
};

/// Judges books against each other and against what the clients saw. Without a window (live
/// members, nothing under way) every acknowledged transfer must be there.
BankVerdict judge_books(const BankOptions& options, const std::vector<BankBooks>& books,
                        const std::vector<Transfer>& transfers,
                        const std::optional<MarkWindow>& window = {});

/// read_books() of every member of `options`, then judge_books().
BankVerdict check_bank(const BankOptions& options, const Witness& witness,
                       const std::optional<MarkWindow>& window = {});

} // namespace tidemark::app
