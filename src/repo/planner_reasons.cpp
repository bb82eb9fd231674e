#include "repo/planner.h"

#include <algorithm>
#include <fmt/format.h>

// Why a member cannot be brought to its position, in words.
namespace tidemark::repo {

using model::format_position;

namespace {

/// The same fact about several backups is told once.
void add(std::vector<Obstacle>& obstacles, Obstacle obstacle)
{
    bool known = std::any_of(obstacles.begin(), obstacles.end(), [&](const Obstacle& other) {
        return other.kind == obstacle.kind && other.member == obstacle.member &&
               other.gap == obstacle.gap && other.object == obstacle.object &&
               (obstacle.gap || obstacle.object || other.text == obstacle.text);
    });
    if (!known) obstacles.push_back(std::move(obstacle));
}

} // namespace

void Planner::explain_none(const MemberFacts& facts, const MemberGoal& goal,
                           std::vector<Obstacle>& obstacles) const
{
    const model::Manifest* earliest = nullptr;
    for (const Candidate& candidate : facts.backups) {
        const model::Manifest& value = candidate.backup->value;
        if (lies_on(value, goal) &&
            (earliest == nullptr || value.stop.offset < earliest->stop.offset))
            earliest = &value;
    }
    Obstacle out{.kind = ObstacleKind::other_branch,
                 .member = goal.member,
                 .text = "its base backups lie on another branch of its history, or are of another "
                         "database",
                 .gap = {},
                 .object = {}};
    if (earliest != nullptr) {
        out.kind = ObstacleKind::no_backup;
        out.text = fmt::format("no base backup is consistent at {}; the earliest is from {} on",
                               format_position(goal.target), format_position(earliest->stop));
    }
    add(obstacles, std::move(out));
}

void Planner::explain(MemberFacts& facts, const Candidate& candidate, const MemberGoal& goal,
                      std::vector<Obstacle>& obstacles) const
{
    model::Number number = candidate.backup->number();
    const model::Manifest& value = candidate.backup->value;
    for (const std::string& key : candidate.lost)
        add(obstacles, {.kind = ObstacleKind::missing_object,
                        .member = goal.member,
                        .text = fmt::format("{} of backup {} is missing or damaged", key, number),
                        .gap = {},
                        .object = key});
    if (value.is_damaged() && !allow_damaged_)
        add(obstacles,
            {.kind = ObstacleKind::backup_damaged,
             .member = goal.member,
             .text = fmt::format("backup {} holds {} damaged pages", number, value.damaged_pages()),
             .gap = {},
             .object = {}});
    if (auto barrier = facts.view->log.barrier(goal.history, value.start, goal.target))
        add(obstacles, {.kind = ObstacleKind::log_gap,
                        .member = goal.member,
                        .text = fmt::format("wal_level was minimal from {} on: no recovery gets "
                                            "past it, only base backups taken later help",
                                            format_position(*barrier)),
                        .gap = {},
                        .object = {}});
    for (const model::LogRange& range : epoch_ranges(goal.history, value.start, goal.log_to))
        for (const model::LogRange& gap : missing_ranges(facts.usable, range))
            explain_gap(facts, goal, number, gap, obstacles);
}

void Planner::explain_gap(const MemberFacts& facts, const MemberGoal& goal, model::Number backup,
                          const model::LogRange& gap, std::vector<Obstacle>& obstacles) const
{
    add(obstacles, {.kind = ObstacleKind::log_gap,
                    .member = goal.member,
                    .text = fmt::format("log {} is missing between backup {} and the position",
                                        format_range(gap), backup),
                    .gap = gap,
                    .object = {}});
    // Was it ever there? Then a piece is gone, which is another thing than a gap in the chain.
    for (const auto& [key, piece] : facts.named) {
        bool inside = piece.range.epoch == gap.epoch && piece.range.from < gap.to &&
                      gap.from < piece.range.to;
        bool usable = std::any_of(facts.usable.begin(), facts.usable.end(),
                                  [&, k = &key](const LogPiece& there) { return there.key == *k; });
        if (inside && !usable)
            add(obstacles, {.kind = ObstacleKind::missing_object,
                            .member = goal.member,
                            .text = fmt::format("log piece {} is missing or damaged", key),
                            .gap = {},
                            .object = key});
    }
}

} // namespace tidemark::repo
