#include "engine/postgres/standby_backup.h"

#include "base/clock.h"
#include "base/error.h"
#include "engine/postgres/backup_control.h"
#include "engine/postgres/replication.h"
#include "engine/postgres/wire_backup.h"

#include <fmt/format.h>

#include <thread>

namespace tidemark::engine::postgres {

namespace {

using base::Code;
using base::Error;
using std::chrono::steady_clock;

/// A standby that replays nothing for so long is paused, delayed or cut off.
constexpr std::chrono::minutes kStandstill{2};
constexpr std::chrono::milliseconds kPause{100};

MemberConfig at_standby(const MemberConfig& member)
{
    MemberConfig out = member;
    out.url = *member.backup_from;
    out.data_dir.reset();
    out.backup_from.reset();
    return out;
}

model::Epoch primary_epoch(const MemberConfig& member)
{
    Connection replication = Connection::open(member.url, {.replication = true});
    return identify_system(replication).flushed.epoch;
}

/// Positions compare along one history only (rules.md 13).
void require_same_history(const MemberConfig& standby, std::uint64_t system_id, model::Epoch epoch)
{
    Connection replication = Connection::open(standby.url, {.replication = true});
    const SystemIdentity there = identify_system(replication);
    if (there.system_id != std::to_string(system_id))
        throw Error{Code::identity_mismatch,
                    fmt::format("backup_from leads to {}, another cluster than the member (system "
                                "identifier {} instead of {})",
                                replication.description(), there.system_id, system_id),
                    {.hint = "let backup_from name a standby of the member"}};
    if (there.flushed.epoch != epoch)
        throw Error{Code::identity_mismatch,
                    fmt::format("{} is on timeline {}, the member on {}", replication.description(),
                                there.flushed.epoch, epoch),
                    {.hint = "backup_from must name a standby that follows the member's primary"}};
}

/// Until the standby has replayed the log up to `goal`.
void wait_for_replay(const MemberConfig& standby, model::Offset goal)
{
    Connection sql = Connection::open(standby.url);
    if (!sql.exec("SELECT pg_is_in_recovery()").boolean(0, 0).value_or(false))
        throw Error{Code::member_not_ready,
                    fmt::format("{} is no standby now", sql.description()),
                    {.hint = "let backup_from name a standby, or leave it out"}};
    model::Offset last = 0;
    auto moved = steady_clock::now();
    while (true) {
        const model::Offset now = sql.exec("SELECT pg_last_wal_replay_lsn()").lsn(0, 0).value_or(0);
        if (now >= goal) return;
        if (now != last) moved = steady_clock::now();
        last = now;
        if (steady_clock::now() - moved > kStandstill)
            throw Error{Code::member_not_ready,
                        fmt::format("the standby {} stands at {} and does not come to {}",
                                    sql.description(), model::format_offset(now),
                                    model::format_offset(goal)),
                        {.hint = "look whether it still follows the primary, is paused or has a "
                                 "recovery_min_apply_delay",
                         .transient = true}};
        std::this_thread::sleep_for(kPause);
    }
}

/// The standby's files; what is recorded of the cluster comes from its primary.
class StandbyBackup final : public BackupSource {
public:
    StandbyBackup(const MemberConfig& member, const BackupOptions& options) : primary_(member)
    {
        const MemberConfig standby = at_standby(member);
        require_same_history(standby, primary_.server().system_id, primary_epoch(member));
        // A standby's backup starts at its last restartpoint, and that at a checkpoint of the
        // primary: a fresh one, or the start could lie below the log that is kept.
        const BackupBegin fresh = primary_.start(options);
        wait_for_replay(standby, primary_.stop().stop.offset);
        files_ = begin_wire_backup(standby, options);
        const model::LogPosition start = files_->begin().start;
        if (start.offset < fresh.start.offset || start.epoch != fresh.start.epoch)
            throw Error{
                Code::member_not_ready,
                fmt::format("the standby's backup starts at {}, before the checkpoint at "
                            "{} that was made for it",
                            model::format_position(start), model::format_position(fresh.start)),
                {.hint = "try again; its log says why it made no restartpoint", .transient = true}};
    }

    const BackupBegin& begin() const override { return files_->begin(); }
    BackupFacts facts() override { return primary_.facts(false); }
    void copy(BackupSink& sink, std::atomic<std::uint64_t>& progress, std::stop_token stop) override
    {
        files_->copy(sink, progress, std::move(stop));
    }
    BackupEnd finish() override { return files_->finish(); }

private:
    BackupControl primary_;
    std::unique_ptr<BackupSource> files_;
};

} // namespace

std::unique_ptr<BackupSource> begin_standby_backup(const MemberConfig& member,
                                                   const BackupOptions& options)
{
    return std::make_unique<StandbyBackup>(member, options);
}

} // namespace tidemark::engine::postgres
