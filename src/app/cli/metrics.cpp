#include "app/cli/metrics.h"

#include "base/error.h"
#include "base/fd.h"
#include "job/log_guard.h"

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tidemark::app {

namespace {

double seconds(base::Time time)
{
    return std::chrono::duration<double>(time.time_since_epoch()).count();
}

/// Gauges of one group; every one carries the group's name.
class Gauges {
public:
    explicit Gauges(std::string group) : group_(std::move(group)) {}

    void set(const std::string& name, const std::string& help, double value,
             const std::string& member = {})
    {
        prometheus::Labels labels{{"group", group_}};
        if (!member.empty()) labels.emplace("member", member);
        prometheus::BuildGauge()
            .Name("tidemark_" + name)
            .Help(help)
            .Register(registry_)
            .Add(labels)
            .Set(value);
    }
    std::string text() const { return prometheus::TextSerializer{}.Serialize(registry_.Collect()); }

private:
    std::string group_;
    prometheus::Registry registry_;
};

void set_member(Gauges& out, const job::MemberStatus& member)
{
    const auto& name = member.name;
    out.set("member_up", "1 when the member answered", member.identity ? 1 : 0, name);
    out.set("chain_ok", "1 when the stored log has no gap that no full backup healed",
            member.chain_broken ? 0 : 1, name);
    if (member.backup)
        out.set("backup_start_timestamp_seconds", "start of the newest base backup",
                seconds(member.backup->value.started), name);
    if (!member.identity) return;
    const auto& slot = member.slot;
    out.set("slot_ok", "1 when our replication slot exists and is not lost",
            slot.exists && !slot.lost ? 1 : 0, name);
    out.set("slot_held_bytes", "log that our slot holds back at the server",
            static_cast<double>(slot.held_bytes), name);
    out.set("slot_pressure_ratio", "held log as a share of its bound or of the disk's room",
            job::log_pressure(slot).share, name);
    if (slot.bound_bytes)
        out.set("slot_bound_bytes", "max_slot_wal_keep_size",
                static_cast<double>(*slot.bound_bytes), name);
    if (member.behind_bytes)
        out.set("log_behind_bytes", "log written at the member and not yet in the repository",
                static_cast<double>(*member.behind_bytes), name);
    out.set("prepared_transactions", "transactions that are prepared now",
            static_cast<double>(member.prepared), name);
    out.set("orphaned_transactions", "transactions that are prepared for more than ten minutes",
            static_cast<double>(member.orphans.size()), name);
}

void set_repository(Gauges& out, bool up)
{
    out.set("repository_up", "1 when the repository could be read", up ? 1 : 0);
}

void set_attention(Gauges& out, bool needed)
{
    out.set("needs_attention", "1 when tidemark status shows something to look at", needed ? 1 : 0);
}

void set_read(Gauges& out, base::Time now)
{
    out.set("status_timestamp_seconds", "when these figures were read", seconds(now));
}

constexpr const char* kMarkTime = "mark_timestamp_seconds";

void set_mark_time(Gauges& out, double time)
{
    out.set(kMarkTime, "time of the newest mark that can be restored", time);
}

/// What the newest mark's age is compared with, by objective or by the group's own rhythm.
void set_patience(Gauges& out, const job::GroupStatus& status)
{
    const auto* limit = status.rhythm ? &*status.rhythm : nullptr;
    for (const auto& state : status.objective)
        if (state.name == "lose_at_most") limit = &state;
    if (limit == nullptr) return;
    out.set("mark_age_limit_seconds", "how old the newest restorable mark may be",
            std::chrono::duration<double>(limit->limit).count());
}

void set_run(Gauges& out, const LastRun& run)
{
    out.set("last_run_exit",
            "exit code of the newest run; 0, 3 (look), 11 (another one works) and 130 (stopped) "
            "are no failures",
            run.exit);
    out.set("last_run_timestamp_seconds", "when the newest run ended, well or not",
            seconds(run.ended));
}

/// The newest that the repository or this host knows of.
std::optional<LastRun> newest_run(const job::GroupStatus& status)
{
    const model::Run* run = status.last_run ? &status.last_run->value : nullptr;
    const auto& unrecorded = status.unrecorded_run;
    if (unrecorded && (run == nullptr || run->ended < unrecorded->ended)) run = &*unrecorded;
    if (run == nullptr) return std::nullopt;
    return LastRun{.exit = run->exit_code, .ended = run->ended};
}

/// A gauge of the whole group in metrics that were written before.
std::optional<double> find_gauge(std::string_view metrics, const std::string& group,
                                 const std::string& name)
{
    const auto start = "\ntidemark_" + name + "{group=\"" + group + "\"} ";
    auto at = metrics.find(start);
    if (at == std::string_view::npos) return std::nullopt;
    const std::string rest(metrics.substr(at + start.size(), 40));
    char* end = nullptr;
    double value = std::strtod(rest.c_str(), &end);
    if (end == rest.c_str() || !std::isfinite(value)) return std::nullopt;
    return value;
}

} // namespace

std::string render_metrics(const job::GroupStatus& status, const std::optional<LastRun>& run)
{
    Gauges out(status.group);
    set_read(out, status.now);
    set_repository(out, true);
    if (auto last = run ? run : newest_run(status)) set_run(out, *last);
    out.set("runs_broken_off", "of the latest runs, those that were killed or whose host went down",
            static_cast<double>(status.broken_off_lately));
    out.set("restorable", "1 when some mark can be restored", status.is_restorable() ? 1 : 0);
    set_attention(out, status.needs_attention() || (run && job::run_failed(run->exit)));
    if (status.restorable) {
        const auto& mark = status.restorable->value;
        set_mark_time(out, seconds(mark.created));
        out.set("mark_spread_seconds", "from its first to its last restore point",
                std::chrono::duration<double>(mark.spread).count());
        out.set("mark_in_doubt", "transactions in doubt at it",
                static_cast<double>(mark.at.in_doubt.size()));
    }
    if (status.proof) {
        out.set("proven_timestamp_seconds", "when a drill or a restore last proved a mark",
                seconds(status.proof->at));
        out.set("proven_restore_seconds", "how long that took until all members were open",
                std::chrono::duration<double>(status.proof->restore_took).count());
    }
    if (status.last_drill)
        out.set("last_drill_passed", "1 when the newest drill passed",
                status.last_drill->value.passed() ? 1 : 0);
    if (!status.objective.empty())
        out.set("objective_met", "1 when everything that `objective` asks for is so",
                status.meets_objective() ? 1 : 0);
    set_patience(out, status);
    if (status.last_full)
        out.set("full_start_timestamp_seconds", "start of the newest complete full backup",
                seconds(status.last_full->value.started));
    for (const auto& member : status.members)
        set_member(out, member);
    return out.text();
}

std::string render_outage(const std::string& group, const LastRun& run, std::string_view before)
{
    Gauges out(group);
    set_read(out, run.ended);
    set_repository(out, false);
    set_run(out, run);
    set_attention(out, true);
    if (auto time = find_gauge(before, group, kMarkTime)) set_mark_time(out, *time);
    return out.text();
}

void write_metrics(const std::filesystem::path& file, const std::string& text)
{
    // The collector reads *.prom only; this name is not one.
    auto unfinished = file;
    unfinished += "." + std::to_string(::getpid()) + ".tmp";
    {
        auto fd = base::open_file(unfinished, O_WRONLY | O_CREAT | O_TRUNC, 0644);
        ::fchmod(fd.get(), 0644); // the exporter runs as another user, whatever our umask is
        base::write_full(fd.get(), base::as_bytes(text), unfinished.string());
    }
    if (std::rename(unfinished.c_str(), file.c_str()) == 0) return;
    int why = errno;
    ::unlink(unfinished.c_str());
    throw base::system_error("cannot write " + file.string(), why);
}

} // namespace tidemark::app
