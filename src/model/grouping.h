#pragma once

#include "model/instances.h"
#include "model/stages.h"

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace tidemark::model {

/// One partition of the instances into uses of their global ids.
struct Partition {
    std::vector<std::uint32_t> group_of; ///< by instance
    std::vector<bool> certain;           ///< by group: its instances belong to one transaction
    std::size_t size() const { return certain.size(); }
};

/// Which instances belong to one distributed transaction (rules.md 1; docs/consistency.md has the
/// argument).
///
/// An id that no member used twice is one group, whatever clocks and sweeps say: splitting true
/// partners would lose consistency. An id used again is split where sweeps prove that one use ended
/// before the next began: that is `wide`. A wide group that still holds two uses is split by the
/// members' clocks, with their errors: that is `narrow`. What remains mixed is not certain.
class Grouping {
public:
    Grouping(const Instances& instances, const Stages& stages);

    /// Between which sweeps an instance lived. One ended before another began, provably, when its
    /// `ended` is less than the other's `began`.
    struct Life {
        std::int16_t began = 0;    ///< Stages::last_before of the prepare
        std::int16_t prepared = 0; ///< Stages::first_after of the prepare
        std::int16_t ended = 0;    ///< Stages::first_after of the finish
    };
    const std::vector<Life>& lives() const { return lives_; }
    const Partition& wide() const { return wide_; }
    const Partition& narrow() const { return narrow_; }

    /// The same by clocks, in microseconds of our own clock; the widest span where a clock is
    /// unknown.
    struct ClockSpan {
        std::int64_t from = std::numeric_limits<std::int64_t>::min();
        std::int64_t to = std::numeric_limits<std::int64_t>::max();
    };
    ClockSpan clock_span(const Instance& instance) const;

private:
    using Slice = std::span<std::uint32_t>;

    void group_id(Slice slice);
    void group_wide(Slice slice);
    void group_narrow(Slice slice);
    std::int64_t reach_of(const Instance& instance) const;
    bool mixed(Slice slice);
    bool used_again(Slice slice);
    bool proven_apart(Slice slice) const;
    std::uint32_t add_group(Partition& partition, Slice slice, bool certain);

    const Instances& instances_;
    std::vector<Life> lives_;
    Partition wide_;
    Partition narrow_;
    struct Use {
        Offset last_prepare = 0;
        Offset first_finish = kNever;
    };
    std::vector<Use> uses_; ///< by member; scratch
};

} // namespace tidemark::model
