#include "engine/postgres/log_source.h"

#include "base/check.h"
#include "base/clock.h"
#include "engine/postgres/replication.h"
#include "engine/postgres/slot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <sys/socket.h>

namespace tidemark::engine::postgres {

namespace {

using base::Code;
using base::Error;
using std::chrono::steady_clock;

// Messages inside COPY BOTH, all integers big-endian:
//   'w' start(8) end-of-log(8) send-time(8) bytes...     from the server
//   'k' end-of-log(8) send-time(8) reply-now(1)          from the server
//   'r' write(8) flush(8) apply(8) send-time(8) reply(1) from us
constexpr std::size_t kDataHeader = 25;
constexpr std::size_t kKeepaliveSize = 18;
/// Also what wakes a sender that has missed that log was flushed: from 16 on it looks once more,
/// then goes to sleep, and what is flushed between the two wakes nobody (WalSndWait). A mark waits
/// for just that log.
constexpr std::chrono::seconds kStatusInterval{1};

std::uint64_t load_big_u64(base::ByteView bytes)
{
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < 8; ++i)
        value = value << 8U | std::to_integer<std::uint64_t>(bytes[i]);
    return value;
}

void store_big_u64(base::ByteSpan into, std::uint64_t value)
{
    for (std::size_t i = 0; i < 8; ++i)
        into[i] = static_cast<std::byte>(value >> (56U - 8U * i) & 0xffU);
}

std::uint64_t postgres_now()
{
    // Microseconds since 2000-01-01 UTC.
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(since).count();
    return static_cast<std::uint64_t>(micros - 946'684'800'000'000);
}

constexpr const char* kMismatchHint =
    "this is another history than the one that is stored (a restored or failed-over server?); see "
    "tidemark status, then start a new chain with tidemark backup";

/// The row that ends a historic timeline: the next one and where it begins.
std::optional<LogSource::Switch> read_switch(const Result& row)
{
    if (row.kind() != ResultKind::rows || row.rows() == 0 || row.columns() < 2) return std::nullopt;
    const std::int64_t next = row.integer(0, 0).value_or(0);
    const auto at = row.lsn(0, 1);
    if (next <= 0 || next > std::numeric_limits<model::Epoch>::max() || !at)
        throw Error{Code::failed, "the server names no timeline after the end of this one"};
    return LogSource::Switch{.next = static_cast<model::Epoch>(next), .at = *at};
}

[[noreturn]] void translate(const SqlError& error, const std::string& slot)
{
    // 58P01: the segment's file is gone.
    if (error.sqlstate() == "58P01")
        throw Error{Code::log_gap,
                    error.message(),
                    {.hint = "the server has recycled log that was not stored yet; run tidemark "
                             "backup to start a new, gap-free chain"}};
    if (error.sqlstate() == "42704") require_usable_slot(SlotState{}, slot);
    if (error.sqlstate() == "55000") // 18 refuses an invalidated slot with it
    {
        SlotState lost;
        lost.exists = lost.lost = true;
        require_usable_slot(lost, slot);
    }
    if (error.sqlstate() == "55006")
        throw Error{Code::member_not_ready,
                    error.message(),
                    {.hint = "another tidemark streams from this slot, or the server has not "
                             "noticed yet that it died; stop it, or try again in a minute",
                     .transient = true}};
    throw; // only called where it was caught
}

void require_in_history(Connection& connection, const SystemIdentity& server,
                        const model::LogPosition& from)
{
    const model::Epoch current = server.flushed.epoch;
    if (from.epoch > current)
        throw Error{Code::identity_mismatch,
                    fmt::format("log is stored up to {}, but {} is on timeline {}",
                                model::format_position(from), connection.description(), current),
                    {.hint = kMismatchHint}};
    if (from.epoch == current && from.offset > server.flushed.offset)
        throw Error{Code::identity_mismatch,
                    fmt::format("log is stored up to {}, but the log of {} ends at {}",
                                model::format_position(from), connection.description(),
                                model::format_offset(server.flushed.offset)),
                    {.hint = kMismatchHint}};
    if (from.epoch < current && !server_history(connection, current).contains(from))
        throw Error{Code::identity_mismatch,
                    fmt::format("log is stored up to {}, which is not in the history of {}, now "
                                "on timeline {}",
                                model::format_position(from), connection.description(), current),
                    {.hint = kMismatchHint}};
}

} // namespace

PostgresLogSource::PostgresLogSource(const MemberConfig& member, Connection connection,
                                     const LogSourceOptions& options)
    : member_(member), connection_(std::move(connection)), options_(options),
      status_due_(steady_clock::now()), status_sent_(status_due_), last_call_(status_due_)
{
}

std::unique_ptr<PostgresLogSource> PostgresLogSource::open(const MemberConfig& member,
                                                           const model::LogPosition& from,
                                                           const LogSourceOptions& options)
{
    model::Offset restart = 0;
    if (!member.slot.empty()) {
        require_slot_name(member.slot);
        Connection sql = Connection::open(member.url, {.timeout = options.patience});
        const SlotState slot = read_slot(sql, member.slot);
        require_usable_slot(slot, member.slot);
        restart = slot.restart.value_or(0);
    }
    Connection replication = Connection::open(
        member.url,
        {.replication = true,
         .timeout = options.patience,
         .settings = {fmt::format("wal_sender_timeout={}", options.sender_timeout.count())}});
    require_in_history(replication, identify_system(replication), from);
    std::unique_ptr<PostgresLogSource> source(
        new PostgresLogSource(member, std::move(replication), options));
    source->slot_restart_ = restart;
    source->start(from);
    source->watcher_ =
        std::jthread([raw = source.get()](const std::stop_token& stop) { raw->watch(stop); });
    return source;
}

void PostgresLogSource::watch(const std::stop_token& stop)
{
    std::unique_lock lock(watch_mutex_);
    while (!stop.stop_requested()) {
        watch_wake_.wait_for(lock, stop, options_.sender_timeout / 4, [] { return false; });
        if (!in_call_ && !stop.stop_requested() &&
            steady_clock::now() - last_call_ > options_.sender_timeout) {
            ::shutdown(connection_.socket(), SHUT_RDWR);
            return;
        }
    }
}

void PostgresLogSource::start(const model::LogPosition& from)
{
    epoch_ = from.epoch;
    at_ = from.offset;
    const std::string slot =
        member_.slot.empty() ? "" : "SLOT " + Connection::identifier(member_.slot) + " ";
    try {
        connection_.send(fmt::format("START_REPLICATION {}PHYSICAL {} TIMELINE {}", slot,
                                     model::format_offset(from.offset), from.epoch),
                         patience());
        const Result first = connection_.next_result(patience());
        if (first.kind() == ResultKind::copy_both) {
            streaming_ = true;
            return;
        }
        // Exactly at the end of a timeline: the server goes straight to what follows it.
        switched_ = read_switch(first);
        if (!switched_)
            throw Error{Code::failed,
                        fmt::format("{} does not stream its log", connection_.description())};
        while (connection_.next_result(patience()).kind() != ResultKind::none) {
        }
    } catch (const SqlError& error) {
        translate(error, member_.slot);
    }
}

namespace {

/// Tells the watcher that somebody is there.
class Attendance {
public:
    Attendance(std::mutex& mutex, bool& present, steady_clock::time_point& last)
        : mutex_(mutex), present_(present), last_(last)
    {
        const std::lock_guard lock(mutex_);
        present_ = true;
    }
    Attendance(const Attendance&) = delete;
    Attendance& operator=(const Attendance&) = delete;
    ~Attendance()
    {
        const std::lock_guard lock(mutex_);
        present_ = false;
        last_ = steady_clock::now();
    }

private:
    std::mutex& mutex_;
    bool& present_;
    steady_clock::time_point& last_;
};

} // namespace

std::optional<LogSource::Chunk> PostgresLogSource::next(steady_clock::time_point deadline,
                                                        std::stop_token stop)
{
    const Attendance here(watch_mutex_, in_call_, last_call_);
    try {
        while (streaming_) {
            give_up_if_stopping();
            if (steady_clock::now() >= status_due_) send_status();
            if (waits_since_ && !told_caller_) {
                told_caller_ = true;
                return std::nullopt;
            }
            auto until = std::min(deadline, status_due_);
            if (waits_since_) until = std::min(until, *waits_since_ + options_.stopping_grace);
            const auto read = connection_.read_copy({until, stop});
            switch (read.status) {
            case Connection::CopyStatus::stopped:
                return std::nullopt;
            case Connection::CopyStatus::timeout:
                if (steady_clock::now() >= deadline) return std::nullopt;
                break;
            case Connection::CopyStatus::end:
                end_of_epoch();
                break;
            case Connection::CopyStatus::data:
                if (auto chunk = take(read.bytes)) return chunk;
                break;
            }
        }
        return std::nullopt;
    } catch (const SqlError& error) {
        translate(error, member_.slot);
    }
}

void PostgresLogSource::give_up_if_stopping()
{
    if (!waits_since_ || confirmed_ >= at_ ||
        steady_clock::now() < *waits_since_ + options_.stopping_grace)
        return;
    streaming_ = false;
    connection_.close();
    throw Error{Code::member_unreachable,
                fmt::format("{} is stopping, and its last log is not stored yet",
                            connection_.description()),
                {.hint = "nothing is lost: the slot keeps that log, and the next run goes on from "
                         "there",
                 .transient = true}};
}

void PostgresLogSource::answer_request()
{
    const auto now = steady_clock::now();
    // We speak more often than the server has to ask. So when it asks it is stopping, and will not
    // end before its last byte is confirmed (walsender.c, WalSndDone).
    if (at_ >= server_end_ && confirmed_ < at_ &&
        now - status_sent_ < options_.sender_timeout / 4 && !waits_since_)
        waits_since_ = now;
    // At once, but a stopping server asks again as soon as it has the answer.
    status_due_ = std::max(now, status_sent_ + std::chrono::milliseconds{100});
}

std::optional<LogSource::Chunk> PostgresLogSource::take(base::ByteView message)
{
    const auto kind = message.empty() ? '\0' : std::to_integer<char>(message[0]);
    if (kind == 'k' && message.size() >= kKeepaliveSize) {
        server_end_ = std::max(server_end_, load_big_u64(message.subspan(1)));
        if (message[17] != std::byte{0}) answer_request();
        return std::nullopt;
    }
    if (kind != 'w' || message.size() < kDataHeader)
        throw Error{Code::failed, fmt::format("{} sent a message of {} bytes that is none of the "
                                              "replication protocol",
                                              connection_.description(), message.size())};
    const model::Offset start = load_big_u64(message.subspan(1));
    const base::ByteView bytes = message.subspan(kDataHeader);
    if (start != at_ || bytes.size() > std::numeric_limits<model::Offset>::max() - start)
        throw Error{Code::failed,
                    fmt::format("{} sent log at {} where {} was due", connection_.description(),
                                model::format_offset(start), model::format_offset(at_))};
    at_ += bytes.size();
    waits_since_.reset();
    told_caller_ = false;
    server_end_ = std::max({server_end_, load_big_u64(message.subspan(9)), at_});
    if (bytes.empty()) return std::nullopt;
    return Chunk{.at = start, .bytes = bytes};
}

void PostgresLogSource::end_of_epoch()
{
    streaming_ = false;
    std::optional<Switch> next;
    bool sent_done = false;
    for (Result r = connection_.next_result(patience()); r.kind() != ResultKind::none;
         r = connection_.next_result(patience())) {
        if (r.kind() == ResultKind::copy_in && !sent_done) {
            connection_.end_copy(patience());
            sent_done = true;
        } else if (auto found = read_switch(r)) {
            next = found;
        }
    }
    if (!next)
        throw SqlError{
            Code::member_unreachable,
            fmt::format("{} ended the stream of its log", connection_.description()),
            {.hint = "the server is probably stopping; try again soon", .transient = true},
            {}};
    if (next->next <= epoch_ || next->at != at_)
        throw Error{Code::identity_mismatch,
                    fmt::format("{} ends timeline {} at {} for timeline {}, but its log was sent "
                                "up to {}",
                                connection_.description(), epoch_, model::format_offset(next->at),
                                next->next, model::format_offset(at_))};
    switched_ = next;
}

void PostgresLogSource::confirm(model::Offset durable)
{
    // What was never delivered cannot be durable; and the server's flush is at or after it.
    CHECK(durable <= at_);
    confirmed_ = std::max(confirmed_, durable);
    if (!waits_since_) return;
    status_due_ = steady_clock::now();
    if (confirmed_ >= at_) waits_since_.reset();
}

void PostgresLogSource::send_status()
{
    // Zero says nothing about the slot. A position below its restart would move it back.
    const model::Offset told = confirmed_ >= slot_restart_ ? confirmed_ : 0;
    std::array<std::byte, 34> message{};
    const base::ByteSpan bytes(message);
    message[0] = std::byte{'r'};
    for (std::size_t field = 0; field < 3; ++field)
        store_big_u64(bytes.subspan(1 + 8 * field), told);
    store_big_u64(bytes.subspan(25), postgres_now());
    connection_.put_copy(message, patience());
    status_sent_ = steady_clock::now();
    status_due_ = status_sent_ +
                  std::min<std::chrono::milliseconds>(kStatusInterval, options_.sender_timeout / 3);
}

std::optional<model::Offset> PostgresLogSource::finish()
{
    const Attendance here(watch_mutex_, in_call_, last_call_);
    try {
        if (streaming_) {
            // The server handles our messages in order: once it has ended the copy, the slot has
            // taken the last confirmation.
            send_status();
            connection_.end_copy(patience());
            const Wait wait = patience();
            auto read = connection_.read_copy(wait);
            while (read.status == Connection::CopyStatus::data)
                read = connection_.read_copy(wait);
            if (read.status != Connection::CopyStatus::end)
                throw SqlError{Code::member_unreachable,
                               fmt::format("{} does not end the stream of its log in time",
                                           connection_.description()),
                               {.hint = "the next run goes on from the slot", .transient = true},
                               {}};
            streaming_ = false;
            while (connection_.next_result(wait).kind() != ResultKind::none) {
            }
        }
        if (member_.slot.empty()) return std::nullopt;
        if (connection_.server_version() >= 150000)
            return read_replication_slot(connection_, member_.slot);
        Connection sql = Connection::open(member_.url, {.timeout = options_.patience});
        return read_slot(sql, member_.slot).restart;
    } catch (const SqlError& error) {
        translate(error, member_.slot);
    }
}

} // namespace tidemark::engine::postgres
