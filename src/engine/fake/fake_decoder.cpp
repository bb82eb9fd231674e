#include "engine/fake/fake_decoder.h"

#include "base/error.h"
#include "engine/fake/fake_record.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

namespace tidemark::engine::fake {

namespace {

using base::Code;
using base::Error;

constexpr std::uint64_t kTimeSpacing = std::uint64_t{64} << 10;

} // namespace

FakeDecoder::FakeDecoder(const DecoderStart& start)
    : start_(start), record_at_(start.feed_from), range_from_(start.range_from)
{
    if (start.log_segment_size == 0 || start.feed_from > start.range_from ||
        (!start.at_record && start.feed_from % start.log_segment_size != 0))
        throw Error{Code::failed, fmt::format("the log cannot be read from {} on",
                                              model::format_offset(start.feed_from))};
}

void FakeDecoder::feed(model::Offset at, base::ByteView bytes)
{
    const model::Offset expected = record_at_ + pending_.size();
    if (at != expected)
        throw Error{Code::log_gap, fmt::format("log at {} follows on {}", model::format_offset(at),
                                               model::format_offset(expected))};
    pending_.insert(pending_.end(), bytes.begin(), bytes.end());
    std::size_t used = 0;
    while (true) {
        std::optional<Decoded> next;
        try {
            next = decode_record(base::ByteView(pending_).subspan(used));
        } catch (Error& error) {
            pending_.clear();
            error.add_context(model::format_offset(record_at_));
            throw;
        }
        if (!next) break;
        add(next->record, record_at_, record_at_ + next->size);
        used += next->size;
        record_at_ += next->size;
    }
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(used));
}

void FakeDecoder::add(const Record& record, model::Offset from, model::Offset end)
{
    if (end <= range_from_) return;
    if (!index_.first_record) index_.first_record = from;
    index_.last_record_end = end;
    ++index_.records;
    const auto event = [&](model::EventKind kind) {
        const bool prepare = kind == model::EventKind::prepare;
        index_.transactions.push_back({.kind = kind,
                                       .epoch = start_.epoch,
                                       .start = from,
                                       .end = end,
                                       .xid = record.xid,
                                       .gid = prepare ? record.text : "",
                                       .at = record.at,
                                       .database = prepare ? record.database : 0,
                                       .owner = prepare ? record.owner : 0});
    };
    switch (record.kind) {
    case RecordKind::prepare:
        event(model::EventKind::prepare);
        return;
    case RecordKind::commit_prepared:
        ++index_.commits;
        event(model::EventKind::commit);
        break;
    case RecordKind::rollback_prepared:
        ++index_.rollbacks;
        event(model::EventKind::rollback);
        break;
    case RecordKind::commit:
        ++index_.commits;
        break;
    case RecordKind::rollback:
        ++index_.rollbacks;
        break;
    case RecordKind::restore_point:
        index_.restore_points.push_back({.epoch = start_.epoch,
                                         .start = from,
                                         .end = end,
                                         .at = record.at,
                                         .name = record.text});
        return;
    case RecordKind::minimal:
        index_.notices.push_back({.kind = model::LogNoticeKind::wal_level_minimal,
                                  .start = from,
                                  .detail = "wal_level=minimal"});
        return;
    default:
        return;
    }
    const model::TimePoint point{.start = from, .at = record.at};
    if (start_.every_time || index_.times.empty() ||
        from - index_.times.back().start >= kTimeSpacing) {
        index_.times.push_back(point);
        latest_.reset();
    } else {
        latest_ = point;
    }
}

model::LogIndex FakeDecoder::take()
{
    if (latest_) index_.times.push_back(*latest_);
    latest_.reset();
    const model::Offset to = std::max(range_from_, record_at_ + pending_.size());
    index_.range = {.epoch = start_.epoch, .from = range_from_, .to = to};
    if (!pending_.empty()) index_.unfinished = record_at_;
    range_from_ = to;
    return std::exchange(index_, {});
}

} // namespace tidemark::engine::fake
