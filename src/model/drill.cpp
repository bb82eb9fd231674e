#include "model/drill.h"

#include <algorithm>

namespace tidemark::model {

bool Drill::passed() const
{
    return failure.empty() && restore_took.has_value() &&
           std::all_of(checks.begin(), checks.end(),
                       [](const auto& check) { return check.result != CheckResult::failed; });
}

bool Drill::kept_prepared() const
{
    return std::any_of(decisions.begin(), decisions.end(),
                       [](const auto& decision) { return decision.action == "kept"; });
}

namespace {

/// Names of the checks all of whose results please `fits`, each once.
template <typename Fits> std::vector<std::string> names_of(const Drill& drill, Fits fits)
{
    std::vector<std::string> names;
    for (const auto& check : drill.checks) {
        if (std::find(names.begin(), names.end(), check.name) != names.end()) continue;
        bool all = std::all_of(drill.checks.begin(), drill.checks.end(), [&](const auto& other) {
            return other.name != check.name || fits(other.result);
        });
        if (all) names.push_back(check.name);
    }
    return names;
}

} // namespace

std::vector<std::string> Drill::proven_by() const
{
    return names_of(*this, [](CheckResult result) { return result == CheckResult::passed; });
}

std::vector<std::string> Drill::skipped() const
{
    std::vector<std::string> names;
    for (const auto& check : checks) {
        if (check.result == CheckResult::skipped &&
            std::find(names.begin(), names.end(), check.name) == names.end())
            names.push_back(check.name);
    }
    return names;
}

std::optional<Proof> proof_of(const Drill& drill, Number number)
{
    if (!drill.proves()) return std::nullopt;
    return Proof{.mark = drill.mark,
                 .mark_time = drill.mark_time,
                 .drill = number,
                 .kind = drill.kind,
                 .at = drill.ended,
                 .restore_took = drill.restore_took.value_or(base::Duration{}),
                 .by = drill.proven_by(),
                 .skipped = drill.skipped(),
                 .half_there = drill.half_there};
}

std::string_view drill_kind_name(DrillKind kind)
{
    return kind == DrillKind::drill ? "drill" : "restore";
}

std::string_view check_result_name(CheckResult result)
{
    switch (result) {
    case CheckResult::passed:
        return "passed";
    case CheckResult::failed:
        return "failed";
    case CheckResult::skipped:
        return "skipped";
    }
    return "?";
}

} // namespace tidemark::model
