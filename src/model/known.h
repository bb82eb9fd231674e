#pragma once

#include "model/evaluate.h"
#include "model/grouping.h"
#include "model/instances.h"
#include "model/stages.h"

#include <optional>
#include <span>
#include <vector>

namespace tidemark::model {

/// Everything known about a group's distributed transactions, ready to be judged.
struct Known {
    /// `sweeps` are later than those of `previous`.
    Known(std::span<const MemberLog* const> logs, const OpenTransactions* previous,
          std::span<const Sweep> sweeps, std::span<const Offset> limits);

    Instances instances;
    Stages stages;
    Grouping grouping;
    std::optional<std::vector<Offset>> complete_from;
};

/// Before every stage, even that of a seeded prepare (-1).
inline constexpr int kNoStage = -2;

/// Is it over inside a vector that stands here at the instance's member?
inline bool finished_inside(const Instance& instance, Offset at)
{
    return instance.finish != Finish::open && instance.finish_end <= at;
}

/// The verdicts and the rest at a vector `at`, in the order of the logs.
Evaluation evaluate(const Known& known, std::span<const Offset> at);

/// The table for the next mark after one with these cuts (in the order of the logs). `members`
/// comes filled with positions and clocks. `now`, when known, ends the wait for what a failover
/// took.
OpenTransactions carry(const Known& known, std::span<const Offset> cuts,
                       std::map<std::string, OpenTransactions::Member> members,
                       base::Time now = {});

/// Throws unless the names of the logs are there and differ.
void check_names(std::span<const MemberLog* const> logs);

} // namespace tidemark::model
