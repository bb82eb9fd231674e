#include "engine/fake/fake_session.h"

#include "base/check.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace tidemark::engine::fake {

using base::Code;
using base::Error;

namespace {

constexpr std::array<std::size_t, 7> kChunkSizes{1, 8191, 40, 65536, 7, 1000, 24576};

} // namespace

FakeLogSource::FakeLogSource(std::shared_ptr<FakeServer> server, const model::LogPosition& from)
    : server_(std::move(server)), epoch_(from.epoch), at_(from.offset)
{
    const std::lock_guard lock(server_->mutex_);
    if (!server_->slot_ || server_->slot_lost_)
        throw Error{Code::log_gap,
                    "the slot does not exist or was invalidated",
                    {.hint = "run tidemark backup"}};
    if (server_->slot_active_)
        throw Error{Code::member_not_ready, "the slot is active for PID 4711", {.transient = true}};
    const auto& log = server_->epoch_log(epoch_);
    const model::Offset end = log.left_at.value_or(server_->flushed_);
    if (at_ < log.begin || at_ > end)
        throw Error{Code::identity_mismatch, fmt::format("{} is not in this server's history",
                                                         model::format_position(from))};
    if (at_ < server_->oldest_)
        throw Error{Code::log_gap,
                    "the requested log has already been removed",
                    {.hint = "run tidemark backup"}};
    server_->slot_active_ = true;
}

FakeLogSource::~FakeLogSource()
{
    const std::lock_guard lock(server_->mutex_);
    if (open_) server_->slot_active_ = false;
}

bool FakeLogSource::ready() const
{
    const auto& log = server_->epoch_log(epoch_);
    return server_->unreachable_ || server_->slot_lost_ || log.left_at || server_->flushed_ > at_ ||
           waits();
}

bool FakeLogSource::waits() const
{
    return server_->waits_for_confirmation_ && !server_->epoch_log(epoch_).left_at &&
           at_ >= server_->flushed_ && confirmed_ < at_;
}

bool FakeLogSource::server_waits() const
{
    const std::lock_guard lock(server_->mutex_);
    return waits();
}

std::optional<LogSource::Chunk> FakeLogSource::next(std::chrono::steady_clock::time_point deadline,
                                                    std::stop_token stop)
{
    if (switched_) return std::nullopt;
    try {
        server_->enter("next", deadline, stop);
    } catch (const Error& error) {
        // A server that hangs looks to a reader like one that has nothing to say.
        if (error.code() == Code::cancelled) return std::nullopt;
        throw;
    }
    std::unique_lock lock(server_->mutex_);
    tell_slot();
    const auto bound = std::min(deadline, std::chrono::steady_clock::now() + std::chrono::hours{1});
    if (!server_->changed_.wait_until(lock, stop, bound, [&] { return ready(); }))
        return std::nullopt;
    if (server_->unreachable_)
        throw Error{Code::member_unreachable, "the connection is lost", {.transient = true}};
    if (server_->slot_lost_) throw Error{Code::log_gap, "the slot was invalidated"};
    if (waits()) return std::nullopt;
    const auto& log = server_->epoch_log(epoch_);
    const model::Offset end = log.left_at.value_or(server_->flushed_);
    if (at_ >= end) {
        switched_ = Switch{.next = epoch_ + 1, .at = end};
        return std::nullopt;
    }
    const std::size_t size =
        std::min<std::size_t>(end - at_, kChunkSizes[sizes_++ % kChunkSizes.size()]);
    const auto begin = log.bytes.begin() + static_cast<std::ptrdiff_t>(at_ - log.begin);
    chunk_.assign(begin, begin + static_cast<std::ptrdiff_t>(size));
    const model::Offset at = at_;
    at_ += size;
    return Chunk{.at = at, .bytes = chunk_};
}

model::Offset FakeLogSource::server_end() const
{
    const std::lock_guard lock(server_->mutex_);
    return server_->epoch_log(epoch_).left_at.value_or(server_->flushed_);
}

void FakeLogSource::confirm(model::Offset durable)
{
    CHECK(durable <= at_);
    confirmed_ = std::max(confirmed_, durable);
    // A real server may be told at any moment from now on: this one is told at once.
    const std::lock_guard lock(server_->mutex_);
    tell_slot();
}

void FakeLogSource::tell_slot()
{
    if (server_->slot_ && !server_->slot_lost_ && confirmed_ > *server_->slot_)
        server_->slot_ = confirmed_;
}

std::optional<model::Offset> FakeLogSource::finish()
{
    server_->enter("finish_log", std::chrono::steady_clock::time_point::max(), {});
    const std::lock_guard lock(server_->mutex_);
    tell_slot();
    if (open_) server_->slot_active_ = false;
    open_ = false;
    if (server_->slot_lost_) return std::nullopt;
    return server_->slot_;
}

} // namespace tidemark::engine::fake
