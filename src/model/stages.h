#pragma once

#include "model/open_transactions.h"

#include <optional>
#include <span>
#include <vector>

namespace tidemark::model {

/// A sequence of sweeps, and the only order between events of different members that is proven:
/// what stands before sweep k in one log happened before what stands after sweep l > k in another.
class Stages {
public:
    /// `logs` give the order of members. The sweeps of `previous` come first, then `sweeps`. A
    /// sweep says nothing about a member that it does not name, or whose log was rewound behind it
    /// since.
    Stages(std::span<const MemberLog* const> logs, const OpenTransactions* previous,
           std::span<const Sweep> sweeps);

    /// The last sweep at or before this record's start; -1 when there is none.
    int last_before(std::size_t member, Offset start) const;
    /// The first sweep at or after this record's end; size() when there is none.
    int first_after(std::size_t member, Offset end) const;
    /// The first sweep that is not of the table.
    int first_new() const { return static_cast<int>(table_sweeps_); }
    int size() const { return static_cast<int>(sweeps_.size()); }

    /// From where on each member's log proves that nothing is missing (OpenTransactions::Member::
    /// complete_from); nullopt when no such vector is known. The first of `sweeps` was read when
    /// the logs of all members were already kept.
    std::optional<std::vector<Offset>> complete_from() const;

private:
    struct Bound {
        std::optional<Offset> from; ///< what starts here or later came after the sweep
        std::optional<Offset> to;   ///< what ends here or earlier came before it
    };
    using Row = std::vector<Bound>;

    std::vector<Offset> row_values(const Row& row) const;
    bool kept_before(const Row& row) const;

    std::vector<const MemberLog*> logs_;
    std::vector<Row> sweeps_;
    std::size_t table_sweeps_ = 0;
    std::optional<std::vector<Offset>> inherited_; ///< the table's complete_from, when still true
    /// A member left, or gids are read by another pattern: what the table no longer holds may have
    /// been a partner of what it holds.
    bool partners_unknown_ = false;
};

} // namespace tidemark::model
