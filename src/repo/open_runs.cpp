#include "repo/open_runs.h"

#include "base/error.h"
#include "base/log.h"
#include "repo/layout.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace tidemark::repo {

using base::Code;
using base::Error;

namespace {

constexpr unsigned kPlaces = 16;
/// A crash between recording and forgetting must not record twice.
constexpr std::size_t kLookBack = std::size_t{2} * kPlaces;

std::string place(unsigned number)
{
    return "run/" + std::to_string(number);
}

bool is_recorded(const std::vector<StoredRun>& recorded, const model::Run& run)
{
    return std::ranges::any_of(recorded, [&](const StoredRun& known) {
        return known.value.broken_off && known.value.host == run.host &&
               known.value.command == run.command && known.value.started == run.started;
    });
}

} // namespace

std::vector<OpenRun> open_runs(store::Storage& storage, const std::string& group)
{
    std::set<std::string> activities;
    const auto prefix = group_prefix(group) + "leases/run/";
    for (const store::ObjectInfo& info : storage.list(prefix))
        if (auto key = parse_key(info.key); key && key->kind == KeyKind::lease)
            activities.insert(key->activity);
    std::vector<OpenRun> out;
    for (const auto& activity : activities) {
        auto state = read_lease(storage, group, activity);
        if (!state || !state->held) continue;
        out.push_back({.command = state->owner.command,
                       .host = state->owner.host,
                       .pid = state->owner.pid,
                       .started = state->since,
                       .last_sign = state->renewed,
                       .broken_off = !is_in_force(*state, storage.now()),
                       .activity = activity});
    }
    std::ranges::sort(out, {}, &OpenRun::started);
    return out;
}

model::Run broken_off_run(const std::string& group, const OpenRun& run)
{
    model::Run out;
    out.group = group;
    out.command = run.command;
    out.host = run.host;
    out.started = run.started;
    out.ended = std::max(run.started, run.last_sign);
    out.exit_code = static_cast<int>(Code::failed);
    out.broken_off = true;
    out.error = model::RunError{
        .code = std::string(base::code_name(Code::failed)),
        .message = fmt::format("broken off: no sign of `tidemark {}` (process {} on {}) after {}; "
                               "it was killed, or its host went down",
                               run.command, run.pid, run.host, base::format_time_human(out.ended)),
        .hint = "journalctl -k on that host tells whether memory ran out; the run after it goes on "
                "where it stopped"};
    return out;
}

std::vector<StoredRun> record_broken_off(store::Storage& storage, const std::string& group,
                                         const LeaseOwner& owner)
{
    std::vector<StoredRun> out;
    for (const auto& open : open_runs(storage, group)) {
        if (!open.broken_off) continue;
        Runs runs(storage, group);
        auto run = broken_off_run(group, open);
        // First the record: who dies in between leaves the trace to the next one.
        if (!is_recorded(runs.list(kLookBack), run)) out.push_back(runs.append(run));
        try {
            Lease::acquire(storage, group, open.activity, owner, {.renew = false})->release();
        } catch (const Error& error) {
            if (error.code() != Code::lease_held) throw; // another run's place by now
        }
    }
    return out;
}

std::unique_ptr<Lease> leave_trace(store::Storage& storage, const std::string& group,
                                   const LeaseOwner& owner, const LeaseOptions& options)
{
    try {
        for (unsigned number = 1; number <= kPlaces; ++number) {
            auto state = read_lease(storage, group, place(number));
            // One that was broken off stays until it is recorded.
            if (state && state->held) continue;
            try {
                return Lease::acquire(storage, group, place(number), owner, options);
            } catch (const Error& error) {
                if (error.code() != Code::lease_held) throw;
            }
        }
        base::log_debug("{} runs at once: no place for the trace of this one", kPlaces);
    } catch (const Error& error) {
        base::log_debug("this run leaves no trace in the repository: {}", error.what());
    }
    return nullptr;
}

} // namespace tidemark::repo
