#include "app/cli/describe.h"
#include "app/cli/table.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace tidemark::app {

using nlohmann::json;

namespace {

std::string point_text(const std::optional<model::TimePoint>& point, const char* none)
{
    return point ? base::format_time(point->at) : none;
}

} // namespace

std::string moment_text(const job::Moment& moment)
{
    Table table({"MEMBER", "RESTORE TO", "LAST KEPT", "FIRST DROPPED", "RETREAT"});
    std::string notes;
    for (std::size_t i = 0; i < moment.members.size(); ++i) {
        const auto& seen = moment.members[i];
        const auto& member = moment.mark.members[i];
        table.row({seen.name, model::format_position(member.cut),
                   point_text(seen.last_kept, "none since the mark before"),
                   point_text(seen.first_dropped, "none before the mark after"),
                   fmt::format("{} B", member.retreat_bytes)});
        if (seen.dropped_earlier > 0)
            notes +=
                fmt::format("  {}: {} commits or aborts that are not later than the moment lie "
                            "behind one that is, and are dropped too\n",
                            seen.name, seen.dropped_earlier);
        if (seen.clock && std::chrono::abs(seen.clock->offset) > seen.clock->error)
            notes +=
                fmt::format("  {}: its clock stood {:+.1f} ms from ours (+- {:.1f} ms) at {}; "
                            "times are its own\n",
                            seen.name, static_cast<double>(seen.clock->offset.count()) / 1000,
                            static_cast<double>(seen.clock->error.count()) / 1000, moment.before);
    }
    return fmt::format("{} lies between {} and {}\n{}{}",
                       base::format_time_human(moment.mark.created), moment.after, moment.before,
                       table.render(2), notes);
}

json moment_json(const job::Moment& moment)
{
    json out = {{"time", base::format_time(moment.mark.created)},
                {"after", moment.after},
                {"before", moment.before},
                {"members", json::array()}};
    auto point = [](const std::optional<model::TimePoint>& at) {
        return at ? json(base::format_time(at->at)) : json(nullptr);
    };
    for (std::size_t i = 0; i < moment.members.size(); ++i) {
        const auto& seen = moment.members[i];
        auto clock = [&](base::Duration model::ClockReading::* part) {
            return seen.clock ? json(((*seen.clock).*part).count()) : json(nullptr);
        };
        out["members"].push_back({{"name", seen.name},
                                  {"position", model::format_position(moment.mark.members[i].cut)},
                                  {"last_kept", point(seen.last_kept)},
                                  {"first_dropped", point(seen.first_dropped)},
                                  {"dropped_earlier", seen.dropped_earlier},
                                  {"clock_offset_us", clock(&model::ClockReading::offset)},
                                  {"clock_error_us", clock(&model::ClockReading::error)},
                                  {"retreat_bytes", moment.mark.members[i].retreat_bytes}});
    }
    return out;
}

} // namespace tidemark::app
