#include "engine/fake/fake_session.h"

#include "base/check.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::engine::fake {

using base::Code;
using base::Error;

FakeSession::FakeSession(std::shared_ptr<FakeServer> server) : server_(std::move(server))
{
    enter("connect");
}

void FakeSession::enter(const std::string& operation)
{
    server_->enter(operation, deadline_, {});
}

void FakeSession::set_deadline(std::chrono::steady_clock::time_point deadline)
{
    deadline_ = deadline;
}

Identity FakeSession::identify()
{
    enter("identify");
    const std::lock_guard lock(server_->mutex_);
    Identity out;
    out.engine = "fake";
    out.system_id = server_->options_.system_id;
    out.version_num = 150000;
    out.version = "15.0";
    out.position = {server_->current().epoch, server_->insert()};
    out.log_segment_size = kSegmentSize;
    out.page_checksums = true;
    out.data_directory = "/fake/" + server_->options_.name;
    out.settings = {{"max_prepared_transactions", "100"}, {"max_connections", "100"}};
    return out;
}

std::vector<Check> FakeSession::check()
{
    enter("check");
    const SlotState slot = server_->slot();
    std::vector<Check> out(1);
    out[0].name = "slot";
    out[0].cause = slot.exists ? "the slot exists" : "the slot does not exist";
    if (!slot.exists || slot.lost) {
        out[0].state = CheckState::failed;
        out[0].fix = "tidemark init";
    }
    return out;
}

model::LogPosition FakeSession::insert_position()
{
    enter("insert_position");
    return server_->insert_position();
}

PlacedPoint FakeSession::place_restore_point(const std::string& name)
{
    enter("place_restore_point");
    if (name.empty() || name.size() > 63)
        throw Error{Code::usage, "a restore point's name has 1 to 63 bytes"};
    const std::lock_guard lock(server_->mutex_);
    server_->append({.kind = RecordKind::restore_point, .text = name});
    return {.end = {server_->current().epoch, server_->insert()}};
}

void FakeSession::ensure_flushed(model::Offset offset,
                                 std::chrono::steady_clock::time_point deadline)
{
    server_->enter("ensure_flushed", std::min(deadline, deadline_), {});
    const std::lock_guard lock(server_->mutex_);
    if (server_->flushed_ < offset) {
        server_->append({.kind = RecordKind::noise, .text = "flush"});
        server_->flushed_ = server_->insert();
        server_->changed_.notify_all();
    }
    if (server_->flushed_ < offset)
        throw Error{Code::member_not_ready,
                    fmt::format("the log is not durable up to {}", model::format_offset(offset)),
                    {.transient = true}};
}

base::Time FakeSession::clock()
{
    enter("clock");
    return server_->now();
}

std::vector<PreparedBranch> FakeSession::prepared()
{
    enter("prepared");
    return server_->prepared();
}

SlotState FakeSession::slot()
{
    enter("slot");
    return server_->slot();
}

model::LogPosition FakeSession::create_slot()
{
    enter("create_slot");
    const std::lock_guard lock(server_->mutex_);
    if (server_->slot_)
        throw Error{Code::member_not_ready, "the slot exists already", {.hint = "drop it"}};
    // In the past, like a real one: at the last checkpoint, in the middle of a segment.
    server_->append({.kind = RecordKind::checkpoint});
    server_->flushed_ = server_->insert();
    server_->slot_ = server_->insert();
    server_->slot_lost_ = false;
    for (int i = 0; i < 3; ++i)
        server_->append({.kind = RecordKind::noise, .text = "since the checkpoint"});
    return {server_->current().epoch, *server_->slot_};
}

void FakeSession::drop_slot()
{
    enter("drop_slot");
    const std::lock_guard lock(server_->mutex_);
    if (server_->slot_active_)
        throw Error{Code::member_not_ready, "the slot is active for PID 4711", {.transient = true}};
    server_->slot_.reset();
    server_->slot_lost_ = false;
}

std::optional<std::string> FakeSession::history_file(model::Epoch epoch)
{
    enter("history_file");
    const std::lock_guard lock(server_->mutex_);
    if (epoch <= 1 || epoch > server_->current().epoch) return std::nullopt;
    return server_->history_text(epoch);
}

std::unique_ptr<LogSource> FakeSession::open_log(const model::LogPosition& from)
{
    enter("open_log");
    return std::make_unique<FakeLogSource>(server_, from);
}

std::unique_ptr<BackupSource> FakeSession::begin_backup(const BackupOptions& options)
{
    enter("begin_backup");
    return std::make_unique<FakeBackup>(server_, options);
}

} // namespace tidemark::engine::fake
