#include "engine/fake/fake_server.h"

#include "base/check.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::engine::fake {

using base::Code;
using base::Error;

namespace {

Error unreachable(const std::string& name)
{
    return {Code::member_unreachable,
            fmt::format("fake server {} does not answer", name),
            {.hint = "bring it back", .transient = true}};
}

std::uint32_t number_of(const std::string& name)
{
    std::uint32_t hash = 16384;
    for (char c : name)
        hash += static_cast<unsigned char>(c);
    return hash;
}

} // namespace

FakeServer::FakeServer(FakeServerOptions options) : options_(std::move(options))
{
    epochs_.push_back({});
    files_["PG_VERSION"] = base::to_bytes("fake\n");
}

base::Time FakeServer::now() const
{
    if (options_.clock != nullptr) return options_.clock->now();
    return base::SystemClock{}.now();
}

model::Offset FakeServer::insert() const
{
    return current().begin + current().bytes.size();
}

model::Offset FakeServer::append(Record record)
{
    record.at = now();
    const base::Bytes bytes = encode_record(record);
    base::Bytes& log = current().bytes;
    const std::size_t rest = kSegmentSize - insert() % kSegmentSize;
    if (bytes.size() > rest) {
        const base::Bytes filler = encode_filler(rest);
        log.insert(log.end(), filler.begin(), filler.end());
    }
    const model::Offset start = insert();
    log.insert(log.end(), bytes.begin(), bytes.end());
    return start;
}

void FakeServer::noise(std::size_t bytes)
{
    const std::lock_guard lock(mutex_);
    const model::Offset end = insert() + bytes;
    while (insert() < end)
        append({.kind = RecordKind::noise,
                .text = std::string(std::min<std::size_t>(bytes, 1000), 'n')});
    flushed_ = insert();
    changed_.notify_all();
}

void FakeServer::lower_wal_level()
{
    const std::lock_guard lock(mutex_);
    append({.kind = RecordKind::minimal});
    flushed_ = insert();
    changed_.notify_all();
}

std::uint32_t FakeServer::commit(const std::string& what)
{
    const std::lock_guard lock(mutex_);
    append({.kind = RecordKind::commit, .xid = next_xid_, .text = what});
    flushed_ = insert();
    changed_.notify_all();
    return next_xid_++;
}

std::uint32_t FakeServer::prepare(const std::string& gid, const std::string& database,
                                  const std::string& owner)
{
    const std::lock_guard lock(mutex_);
    if (prepared_.contains(gid))
        throw Error{Code::failed, fmt::format("{} is prepared already", gid)};
    PreparedBranch branch{.xid = next_xid_++,
                          .gid = gid,
                          .prepared = now(),
                          .owner = owner,
                          .database = database,
                          .owner_oid = number_of(owner),
                          .database_oid = number_of(database)};
    append({.kind = RecordKind::prepare,
            .xid = branch.xid,
            .database = branch.database_oid,
            .owner = branch.owner_oid,
            .text = gid});
    prepared_[gid] = branch;
    prepared_from_[insert()] = prepared_;
    flushed_ = insert();
    changed_.notify_all();
    return branch.xid;
}

std::uint32_t FakeServer::prepare_unlogged(const std::string& gid)
{
    const std::lock_guard lock(mutex_);
    prepared_[gid] = {.xid = next_xid_++,
                      .gid = gid,
                      .prepared = now(),
                      .owner = "app",
                      .database = "shop",
                      .owner_oid = number_of("app"),
                      .database_oid = number_of("shop")};
    return prepared_[gid].xid;
}

void FakeServer::finish(const std::string& gid, bool commit)
{
    const std::lock_guard lock(mutex_);
    const auto it = prepared_.find(gid);
    if (it == prepared_.end()) throw Error{Code::failed, fmt::format("{} is not prepared", gid)};
    append({
        .kind = commit ? RecordKind::commit_prepared : RecordKind::rollback_prepared,
        .xid = it->second.xid,
    });
    prepared_.erase(it);
    prepared_from_[insert()] = prepared_;
    flushed_ = insert();
    changed_.notify_all();
}

void FakeServer::set_file(const std::string& path, base::Bytes content)
{
    const std::lock_guard lock(mutex_);
    files_[path] = std::move(content);
}

void FakeServer::set_captured(std::vector<CapturedFile> files)
{
    const std::lock_guard lock(mutex_);
    captured_ = std::move(files);
}

void FakeServer::promote()
{
    promote(insert_position().offset);
}

void FakeServer::promote(model::Offset at)
{
    const std::lock_guard lock(mutex_);
    CHECK(at >= current().begin && at <= insert());
    current().left_at = at;
    prepared_from_.erase(prepared_from_.upper_bound(at), prepared_from_.end());
    prepared_.clear();
    if (!prepared_from_.empty()) prepared_ = prepared_from_.rbegin()->second;
    EpochLog next{.epoch = current().epoch + 1, .begin = at, .bytes = {}, .left_at = {}};
    epochs_.push_back(std::move(next));
    flushed_ = at;
    append({.kind = RecordKind::checkpoint});
    flushed_ = insert();
    changed_.notify_all();
}

void FakeServer::set_clock(base::Clock& clock)
{
    std::lock_guard lock(mutex_);
    options_.clock = &clock;
}

void FakeServer::discard_log_below(model::Offset offset)
{
    const std::lock_guard lock(mutex_);
    oldest_ = std::max(oldest_, offset);
}

void FakeServer::move_slot(model::Offset to)
{
    const std::lock_guard lock(mutex_);
    slot_ = to;
}

void FakeServer::lose_slot()
{
    const std::lock_guard lock(mutex_);
    slot_lost_ = true;
    // Servers recycle whole segments only.
    oldest_ = std::max(oldest_, insert() - insert() % kSegmentSize);
    changed_.notify_all();
}

void FakeServer::wait_for_confirmation()
{
    const std::lock_guard lock(mutex_);
    waits_for_confirmation_ = true;
    changed_.notify_all();
}

void FakeServer::change_system_id(const std::string& id)
{
    const std::lock_guard lock(mutex_);
    options_.system_id = id;
}

void FakeServer::set_unreachable(bool unreachable)
{
    const std::lock_guard lock(mutex_);
    unreachable_ = unreachable;
    changed_.notify_all();
}

void FakeServer::set_hanging(const std::string& operation, bool hanging)
{
    const std::lock_guard lock(mutex_);
    if (hanging)
        hanging_.insert(operation);
    else
        hanging_.erase(operation);
    changed_.notify_all();
}

void FakeServer::fail(const std::string& operation, const base::Error& error, int skip)
{
    const std::lock_guard lock(mutex_);
    faults_.insert({operation, {error, skip}});
}

void FakeServer::on_operation(std::function<void(const std::string&)> hook)
{
    const std::lock_guard lock(mutex_);
    hook_ = std::move(hook);
}

void FakeServer::enter(const std::string& operation, std::chrono::steady_clock::time_point deadline,
                       const std::stop_token& stop)
{
    std::unique_lock lock(mutex_);
    if (auto hook = hook_) {
        lock.unlock();
        hook(operation);
        lock.lock();
    }
    if (hanging_.contains(operation)) {
        const auto released = [&] { return !hanging_.contains(operation) || unreachable_; };
        // wait_until with time_point::max() overflows in some libraries.
        const auto bound =
            std::min(deadline, std::chrono::steady_clock::now() + std::chrono::hours{1});
        const bool over = !changed_.wait_until(lock, stop, bound, released);
        if (stop.stop_requested()) throw Error{Code::cancelled, "stopped"};
        if (over) throw unreachable(options_.name);
    }
    if (unreachable_) throw unreachable(options_.name);
    const auto [first, last] = faults_.equal_range(operation);
    for (auto it = first; it != last; ++it) {
        if (it->second.skip-- > 0) continue;
        auto fault = faults_.extract(it);
        throw Error(fault.mapped().error);
    }
}

model::LogPosition FakeServer::insert_position() const
{
    const std::lock_guard lock(mutex_);
    return {current().epoch, insert()};
}

const FakeServer::EpochLog& FakeServer::epoch_log(model::Epoch epoch) const
{
    const auto it = std::ranges::find(epochs_, epoch, &EpochLog::epoch);
    if (it == epochs_.end())
        throw Error{Code::identity_mismatch,
                    fmt::format("fake server {} has no epoch {}", options_.name, epoch)};
    return *it;
}

base::Bytes FakeServer::log(model::Epoch epoch, model::Offset from, model::Offset to) const
{
    const std::lock_guard lock(mutex_);
    const EpochLog& log = epoch_log(epoch);
    CHECK(from >= log.begin && from <= to && to <= log.begin + log.bytes.size());
    const auto at = [&](model::Offset offset) {
        return log.bytes.begin() + static_cast<std::ptrdiff_t>(offset - log.begin);
    };
    return {at(from), at(to)};
}

std::string FakeServer::history_text(model::Epoch epoch) const
{
    std::string out;
    for (const EpochLog& log : epochs_)
        if (log.epoch < epoch && log.left_at)
            out += fmt::format("{}\t{}\tfake\n", log.epoch, model::format_offset(*log.left_at));
    return out;
}

SlotState FakeServer::slot_state() const
{
    SlotState state;
    state.bound_bytes = options_.slot_bound;
    if (!slot_) return state;
    state.exists = true;
    state.active = slot_active_;
    state.lost = slot_lost_;
    state.wal_status = slot_lost_ ? "lost" : "reserved";
    if (slot_lost_) return state;
    state.restart = slot_;
    state.held_bytes = insert() > *slot_ ? insert() - *slot_ : 0;
    state.safe_bytes = static_cast<std::int64_t>(options_.slot_bound) -
                       static_cast<std::int64_t>(state.held_bytes);
    return state;
}

SlotState FakeServer::slot() const
{
    const std::lock_guard lock(mutex_);
    return slot_state();
}

std::vector<PreparedBranch> FakeServer::prepared() const
{
    const std::lock_guard lock(mutex_);
    std::vector<PreparedBranch> out;
    for (const auto& [gid, branch] : prepared_)
        out.push_back(branch);
    return out;
}

} // namespace tidemark::engine::fake
