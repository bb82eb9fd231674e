#include "engine/postgres/wal/decoder.h"

#include "engine/postgres/wal/tablespace.h"
#include "engine/postgres/wal/xact.h"
#include "engine/postgres/wal/xlog_record.h"

#include "base/check.h"
#include "base/error.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <utility>

namespace tidemark::engine::postgres::wal {

namespace {

using base::Code;
using base::Error;
using model::EventKind;
using model::LogNoticeKind;

/// One time each so many bytes of log is enough to find a position by time.
constexpr std::uint64_t kTimeSpacing = std::uint64_t{64} << 10;

std::uint64_t parse_system_id(const std::string& text)
{
    std::uint64_t id = 0;
    auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (failure != std::errc{} || end != text.data() + text.size())
        throw Error(Code::failed, fmt::format("'{}' is not a system identifier", text));
    return id;
}

LogIdentity identity_of(const DecoderStart& start)
{
    LogIdentity identity{.layout = layout_of_major(start.version_num / 10000),
                         .segment_size = start.log_segment_size,
                         .system_id = std::nullopt,
                         .timeline = start.epoch};
    if (identity.layout == nullptr)
        throw Error(
            Code::member_not_ready,
            fmt::format("the log of PostgreSQL {} cannot be read", start.version_num / 10000),
            {.hint = "Tidemark reads the log of PostgreSQL 13 to 18"});
    if (!valid_segment_size(start.log_segment_size))
        throw Error(Code::failed,
                    fmt::format("{} is not a log segment size", start.log_segment_size));
    if (!start.system_id.empty()) identity.system_id = parse_system_id(start.system_id);
    return identity;
}

[[noreturn]] void throw_broken(const Status& status)
{
    std::string what = fmt::format("the log cannot be read: {}", format_status(status));
    switch (status.fault) {
    case Fault::gap:
        throw Error(Code::log_gap, what);
    case Fault::system_id:
    case Fault::page_timeline:
        throw Error(Code::identity_mismatch, what,
                    {.hint = "compare the member's system identifier and timeline with those "
                             "recorded in the repository"});
    default:
        throw Error(Code::failed, what,
                    {.hint = "compare with pg_waldump on the server; if the server reads it, "
                             "please report this as an error of Tidemark"});
    }
}

} // namespace

IndexBuilder::IndexBuilder(const DecoderStart& start)
    : epoch_(start.epoch), every_time_(start.every_time), identity_(identity_of(start)),
      range_from_(start.range_from), reader_(identity_, {.at = start.feed_from}, *this)
{
    if (reader_.status().state == State::broken) throw_broken(reader_.status());
    if (start.feed_from > start.range_from)
        throw Error(Code::failed, fmt::format("reading at {} is too late for a range from {}",
                                              model::format_offset(start.feed_from),
                                              model::format_offset(start.range_from)));
}

void IndexBuilder::feed(model::Offset at, base::ByteView bytes)
{
    Status status = reader_.feed(at, bytes);
    if (malformed_) status = {State::broken, Fault::record_structure, *malformed_};
    if (status.state == State::broken) throw_broken(status);
    if (status.state == State::end_of_log)
        throw Error(Code::failed, fmt::format("the log cannot be read: {}", format_status(status)));
}

model::Offset IndexBuilder::readable_to() const
{
    auto status = reader_.status();
    bool stopped = status.state == State::broken || status.state == State::end_of_log;
    auto to = stopped ? status.where : reader_.position();
    if (auto open = reader_.unfinished()) to = std::min(to, *open);
    return malformed_ ? std::min(to, *malformed_) : to;
}

model::LogIndex IndexBuilder::take()
{
    auto status = reader_.status();
    if (latest_time_) index_.times.push_back(*latest_time_);
    latest_time_.reset();
    noticed_managers_.reset();
    if (malformed_ || status.state == State::broken || status.state == State::end_of_log) {
        index_.range = {
            .epoch = epoch_, .from = range_from_, .to = std::max(range_from_, readable_to())};
        return std::exchange(index_, {});
    }
    CHECK(reader_.position() >= range_from_);
    index_.range = {.epoch = epoch_, .from = range_from_, .to = reader_.position()};
    index_.unfinished = reader_.unfinished();
    range_from_ = reader_.position();
    return std::exchange(index_, {});
}

/// A transaction that does nothing but write our message, which makes the server flush
/// (PostgresSession::ensure_flushed), is no work of the users. Its xid is first seen at the message
/// and next at its commit.
void IndexBuilder::watch_forced_flush(const Record& record)
{
    if (is_forced_flush(record))
        forcing_ = record.xid;
    else if (forcing_ == record.xid && record.manager != kTransaction)
        forcing_.reset();
}

void IndexBuilder::record(const Record& record)
{
    watch_forced_flush(record);
    if (record.end <= range_from_ || malformed_) return;
    if (!index_.first_record) index_.first_record = record.start;
    index_.last_record_end = record.end;
    ++index_.records;
    index_.full_page_images += record.images;
    if (record.manager == kTransaction)
        add_transaction(record);
    else if (record.manager == kXlog)
        add_log_record(record);
    else if (is_tablespace_creation(record))
        add_tablespace(record);
    else if (record.manager > kLastBuiltIn)
        add_manager_notice(record);
}

void IndexBuilder::add_transaction(const Record& record)
{
    auto kind = xact_kind(record);
    if (!kind) return;
    model::TransactionEvent event;
    event.epoch = epoch_;
    event.start = record.start;
    event.end = record.end;
    if (*kind == XactKind::prepare) {
        auto prepare = decode_prepare(*identity_.layout, record);
        if (!prepare) {
            malformed_ = record.start;
            return;
        }
        event.kind = EventKind::prepare;
        event.xid = prepare->xid;
        event.gid = prepare->gid;
        event.at = prepare->at;
        event.database = prepare->database;
        event.owner = prepare->owner;
        index_.transactions.push_back(std::move(event));
        return;
    }
    auto end = decode_xact_end(*identity_.layout, *kind, record);
    if (!end) {
        malformed_ = record.start;
        return;
    }
    bool committed = *kind == XactKind::commit || *kind == XactKind::commit_prepared;
    if (*kind == XactKind::commit && forcing_ && record.xid == *forcing_) {
        forcing_.reset();
        add_time({.start = record.start, .at = end->at});
        return;
    }
    add_end(record, committed, end->at);
    if (*kind == XactKind::commit || *kind == XactKind::abort) return;
    event.kind = committed ? EventKind::commit : EventKind::rollback;
    event.xid = *end->two_phase_xid;
    event.gid = end->gid;
    event.at = end->at;
    index_.transactions.push_back(std::move(event));
}

void IndexBuilder::add_end(const Record& record, bool committed, base::Time at)
{
    ++(committed ? index_.commits : index_.rollbacks);
    add_time({.start = record.start, .at = at});
}

void IndexBuilder::add_time(const model::TimePoint& point)
{
    if (every_time_ || index_.times.empty() ||
        point.start - index_.times.back().start >= kTimeSpacing) {
        index_.times.push_back(point);
        latest_time_.reset();
    } else {
        latest_time_ = point;
    }
}

void IndexBuilder::add_log_record(const Record& record)
{
    switch (static_cast<XlogInfo>(record.kind())) {
    case XlogInfo::restore_point:
        if (auto point = decode_restore_point(record))
            index_.restore_points.push_back({.epoch = epoch_,
                                             .start = record.start,
                                             .end = record.end,
                                             .at = point->at,
                                             .name = std::string(point->name)});
        else
            malformed_ = record.start;
        return;
    case XlogInfo::parameter_change:
        if (auto change = decode_parameter_change(record)) {
            add_notice(LogNoticeKind::parameter_change, record, change->text());
            if (change->minimal())
                add_notice(LogNoticeKind::wal_level_minimal, record, change->text());
        } else {
            malformed_ = record.start;
        }
        return;
    case XlogInfo::end_of_recovery:
        if (auto end = decode_end_of_recovery(record))
            add_notice(LogNoticeKind::end_of_recovery, record,
                       fmt::format("timeline {} from {}", end->timeline, end->previous_timeline));
        else
            malformed_ = record.start;
        return;
    case XlogInfo::checkpoint_shutdown:
        // A recovery that ends without the record above says so by its checkpoint.
        if (auto checkpoint = decode_checkpoint(record); !checkpoint)
            malformed_ = record.start;
        else if (checkpoint->timeline != checkpoint->previous_timeline)
            add_notice(LogNoticeKind::end_of_recovery, record,
                       fmt::format("timeline {} from {}", checkpoint->timeline,
                                   checkpoint->previous_timeline));
        return;
    default:
        return;
    }
}

void IndexBuilder::add_tablespace(const Record& record)
{
    if (auto creation = decode_tablespace_creation(record))
        add_notice(LogNoticeKind::tablespace_created, record,
                   fmt::format("{} {}", creation->oid, creation->location));
    else
        malformed_ = record.start;
}

void IndexBuilder::add_manager_notice(const Record& record)
{
    if (noticed_managers_.test(record.manager)) return;
    noticed_managers_.set(record.manager);
    bool custom = identity_.layout->custom_managers && record.manager >= kFirstCustom;
    add_notice(custom ? LogNoticeKind::custom_resource_manager
                      : LogNoticeKind::unknown_resource_manager,
               record, fmt::format("{}", record.manager));
}

void IndexBuilder::add_notice(LogNoticeKind kind, const Record& record, std::string detail)
{
    index_.notices.push_back({.kind = kind, .start = record.start, .detail = std::move(detail)});
}

} // namespace tidemark::engine::postgres::wal
