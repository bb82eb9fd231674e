#include "engine/fake/fake_target.h"

#include "base/error.h"
#include "base/fd.h"
#include "engine/fake/fake_server.h"
#include "engine/fake/fake_session.h"

#include <charconv>
#include <fmt/format.h>

namespace tidemark::engine::fake {

using base::Code;
using base::Error;
using Phase = RestoredServer::Phase;

namespace {

/// "START <offset>\n..." as FakeBackup::finish() writes it.
model::Offset start_of(std::string_view label)
{
    model::Offset start = 0;
    if (label.starts_with("START ")) {
        label.remove_prefix(6);
        const auto [end, error] = std::from_chars(label.data(), label.data() + label.size(), start);
        if (error == std::errc{} && end != label.data() + label.size() && *end == '\n')
            return start;
    }
    throw Error{Code::not_restorable, "the backup label cannot be read"};
}

} // namespace

void RestoredServers::set_log_reader(ReadLog reader)
{
    const std::lock_guard lock(mutex_);
    read_log_ = std::move(reader);
}

void RestoredServers::set_answers(Answer answer)
{
    const std::lock_guard lock(mutex_);
    answer_ = std::move(answer);
}

void RestoredServers::set_content(const std::string& member, ContentCheck check)
{
    const std::lock_guard lock(mutex_);
    content_[member] = std::move(check);
}

void RestoredServers::set_pages(const std::string& member, PageCheck check)
{
    const std::lock_guard lock(mutex_);
    pages_[member] = std::move(check);
}

void RestoredServers::fail(const std::string& member, const std::string& method,
                           const base::Error& error)
{
    fail(member, method, std::make_exception_ptr(error));
}

void RestoredServers::fail(const std::string& member, const std::string& method,
                           std::exception_ptr error)
{
    const std::lock_guard lock(mutex_);
    faults_.insert_or_assign({member, method}, std::move(error));
}

RestoredServer RestoredServers::at(const std::filesystem::path& dir) const
{
    const std::lock_guard lock(mutex_);
    const auto it = servers_.find(dir);
    return it == servers_.end() ? RestoredServer{} : it->second;
}

FakeTarget::FakeTarget(TargetConfig config, std::shared_ptr<RestoredServers> servers)
    : config_(std::move(config)), servers_(std::move(servers))
{
    const std::lock_guard lock(servers_->mutex_);
    server_ = &servers_->servers_[config_.dir];
}

void FakeTarget::enter(const std::string& method)
{
    const std::lock_guard lock(servers_->mutex_);
    const auto it = servers_->faults_.find({config_.member, method});
    if (it == servers_->faults_.end()) return;
    auto error = std::move(it->second);
    servers_->faults_.erase(it);
    std::rethrow_exception(error);
}

void FakeTarget::done(const std::string& method)
{
    const std::lock_guard lock(servers_->mutex_);
    server_->calls.push_back(method);
}

base::Bytes FakeTarget::read_file(const std::string& name) const
{
    return base::read_file(config_.dir / name, std::size_t{64} << 20);
}

void FakeTarget::preflight()
{
    enter("preflight");
    done("preflight");
}

void FakeTarget::prepare(const RecoverySpec& spec)
{
    enter("prepare");
    const std::string version(base::as_text(read_file("PG_VERSION")));
    if (version != "fake\n") throw Error{Code::not_restorable, "PG_VERSION is not what it was"};
    const auto prepared = parse_prepared(base::as_text(read_file(kPreparedFile)));
    start_of(spec.backup_label);
    {
        const std::lock_guard lock(servers_->mutex_);
        // Who has come to the goal goes on from there, as long as the label is the same.
        if (server_->phase >= Phase::at_goal && server_->spec.backup_label == spec.backup_label) {
            server_->spec = spec;
            server_->calls.emplace_back("prepare");
            return;
        }
        *server_ = {.phase = Phase::prepared,
                    .running = false,
                    .spec = spec,
                    .position = {},
                    .in_doubt = {},
                    .committed = {},
                    .rolled_back = {},
                    .replayed = {},
                    .settled = {},
                    .calls = std::move(server_->calls),
                    .hand_over = {}};
        for (const PreparedBranch& branch : prepared)
            server_->in_doubt[branch.xid] = branch;
    }
    done("prepare");
}

bool FakeTarget::is_goal(const Record& record, model::Offset start) const
{
    const RecoveryGoal& goal = server_->spec.goal;
    if (goal.position) return start >= *goal.position;
    if (goal.time)
        return (record.kind == RecordKind::commit || record.kind == RecordKind::commit_prepared) &&
               record.at > *goal.time;
    return false;
}

void FakeTarget::replay(const Record& record)
{
    server_->replayed.push_back(record);
    switch (record.kind) {
    case RecordKind::prepare:
        server_->in_doubt[record.xid] = {.xid = record.xid,
                                         .gid = record.text,
                                         .prepared = record.at,
                                         .owner = {},
                                         .database = {},
                                         .owner_oid = record.owner,
                                         .database_oid = record.database};
        break;
    case RecordKind::commit_prepared:
    case RecordKind::rollback_prepared:
        if (const auto it = server_->in_doubt.find(record.xid); it != server_->in_doubt.end()) {
            auto& finished = record.kind == RecordKind::commit_prepared ? server_->committed
                                                                        : server_->rolled_back;
            finished.insert(it->second.gid);
            server_->in_doubt.erase(it);
        }
        break;
    case RecordKind::minimal:
        throw Error{Code::not_restorable, "log of wal_level=minimal cannot be replayed"};
    default:
        break;
    }
}

Reached FakeTarget::recover(const std::function<void(model::Offset)>& progress,
                            std::stop_token stop)
{
    enter("recover");
    const std::lock_guard lock(servers_->mutex_);
    if (server_->phase == Phase::absent) throw Error{Code::failed, "recover() before prepare()"};
    const RecoveryGoal goal = server_->spec.goal;
    if (server_->phase == Phase::prepared) {
        model::Offset at = start_of(server_->spec.backup_label);
        base::Bytes pending;
        for (bool found = false; !found;) {
            if (stop.stop_requested()) throw Error{Code::cancelled, "stopped"};
            const model::Offset end = at + pending.size();
            const base::Bytes more =
                servers_->read_log_(config_.member, goal.epoch, end, end + kSegmentSize);
            if (more.empty())
                throw Error{Code::point_not_reachable,
                            fmt::format("the log ends at {}", model::format_offset(end))};
            pending.insert(pending.end(), more.begin(), more.end());
            std::size_t used = 0;
            while (const auto next = decode_record(base::ByteView(pending).subspan(used))) {
                found = is_goal(next->record, at);
                if (found) break;
                replay(next->record);
                used += next->size;
                at += next->size;
                if (goal.name && next->record.kind == RecordKind::restore_point &&
                    next->record.text == *goal.name) {
                    found = true;
                    break;
                }
            }
            pending.erase(pending.begin(), pending.begin() + static_cast<std::ptrdiff_t>(used));
            if (progress) progress(at);
        }
        server_->position = {goal.epoch, at};
        server_->phase = Phase::at_goal;
        server_->calls.emplace_back("recover");
    }
    return {.position = server_->position, .evidence = "fake recovery stopped there"};
}

model::LogPosition FakeTarget::promote(std::stop_token /*stop*/)
{
    enter("promote");
    const std::lock_guard lock(servers_->mutex_);
    if (server_->phase == Phase::at_goal) {
        server_->phase = Phase::promoted;
        server_->position.epoch += 1;
        server_->calls.emplace_back("promote");
    }
    if (server_->phase < Phase::promoted) throw Error{Code::failed, "promote() before recover()"};
    server_->running = true;
    return server_->position;
}

void FakeTarget::resume(std::stop_token /*stop*/)
{
    enter("resume");
    const std::lock_guard lock(servers_->mutex_);
    if (server_->phase < Phase::promoted) throw Error{Code::failed, "resume() before promote()"};
    server_->phase = Phase::promoted;
    server_->running = true;
    server_->calls.emplace_back("resume");
}

std::vector<PreparedBranch> FakeTarget::prepared()
{
    enter("prepared");
    const std::lock_guard lock(servers_->mutex_);
    if (!server_->running) throw Error{Code::failed, "prepared() of a stopped server"};
    std::vector<PreparedBranch> out;
    for (const auto& [xid, branch] : server_->in_doubt)
        out.push_back(branch);
    return out;
}

void FakeTarget::settle(const PreparedBranch& branch, bool commit)
{
    enter("settle");
    const std::lock_guard lock(servers_->mutex_);
    const auto it = server_->in_doubt.find(branch.xid);
    if (!server_->running || it == server_->in_doubt.end() || it->second.gid != branch.gid)
        throw Error{Code::failed, fmt::format("{} is not prepared here", branch.gid)};
    (commit ? server_->committed : server_->rolled_back).insert(branch.gid);
    server_->settled[branch.gid] = commit;
    server_->in_doubt.erase(it);
    server_->calls.push_back("settle " + branch.gid);
}

std::vector<std::string> FakeTarget::warnings()
{
    enter("warnings");
    return {};
}

ContentCheck FakeTarget::check_content(unsigned /*workers*/, std::stop_token /*stop*/)
{
    enter("check_content");
    const std::lock_guard lock(servers_->mutex_);
    if (!server_->running) throw Error{Code::failed, "check_content() of a stopped server"};
    server_->calls.emplace_back("check_content");
    const auto it = servers_->content_.find(config_.member);
    if (it != servers_->content_.end()) return it->second;
    return {.ran = true, .text = "fake check of everything"};
}

std::optional<std::string> FakeTarget::ask(const std::string& database, const std::string& sql,
                                           std::stop_token /*stop*/)
{
    enter("ask");
    RestoredServers::Answer answer;
    {
        const std::lock_guard lock(servers_->mutex_);
        if (!server_->running) throw Error{Code::failed, "ask() of a stopped server"};
        server_->calls.push_back("ask " + sql);
        answer = servers_->answer_;
    }
    if (!answer) throw Error{Code::failed, "nobody answers"};
    return answer(config_.member, database, sql);
}

PageCheck FakeTarget::check_pages(unsigned /*workers*/, std::stop_token /*stop*/)
{
    enter("check_pages");
    const std::lock_guard lock(servers_->mutex_);
    if (server_->running) throw Error{Code::failed, "check_pages() of a running server"};
    server_->calls.emplace_back("check_pages");
    const auto it = servers_->pages_.find(config_.member);
    if (it != servers_->pages_.end()) return it->second;
    return {.has_checksums = true, .files = 1, .pages = 3};
}

void FakeTarget::check_hand_over(const HandOverOptions& /*options*/)
{
    enter("check_hand_over"); // changes nothing, so it is not among the calls
}

HandOver FakeTarget::prepare_hand_over(const HandOverOptions& options, std::stop_token /*stop*/)
{
    enter("prepare_hand_over");
    const std::lock_guard lock(servers_->mutex_);
    if (server_->phase < Phase::promoted)
        throw Error{Code::failed, "prepare_hand_over() before promote()"};
    server_->running = false;
    server_->hand_over = options;
    server_->calls.emplace_back("prepare_hand_over");
    HandOver out;
    if (!options.as_production) out.neutralised = {"archiving"};
    out.start_command = "fake start " + config_.dir.string();
    return out;
}

void FakeTarget::hand_over(HandOver& result, bool start)
{
    enter("hand_over");
    const std::lock_guard lock(servers_->mutex_);
    if (server_->running) throw Error{Code::failed, "hand_over() of a server that is ours"};
    server_->phase = Phase::handed_over;
    server_->running = start;
    server_->calls.emplace_back("hand_over");
    if (!start) return;
    result.start_command.clear();
    result.socket_dir = config_.work_dir.string();
    result.port = 5432;
}

void FakeTarget::take_back()
{
    enter("take_back");
    const std::lock_guard lock(servers_->mutex_);
    if (server_->phase == Phase::handed_over) server_->phase = Phase::promoted;
    server_->running = false;
    server_->calls.emplace_back("take_back");
}

void FakeTarget::stop()
{
    const std::lock_guard lock(servers_->mutex_);
    server_->running = false;
    server_->calls.emplace_back("stop");
}

void FakeTarget::clean_up()
{
    enter("clean_up");
    stop();
}

std::string FakeTarget::private_conninfo() const
{
    return "host=" + config_.work_dir.string();
}

} // namespace tidemark::engine::fake
