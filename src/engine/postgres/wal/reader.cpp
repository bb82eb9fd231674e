#include "engine/postgres/wal/reader.h"

#include "base/check.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace tidemark::engine::postgres::wal {

namespace {

/// Assembly buffers above this are given back after use.
constexpr std::size_t kBufferToKeep = std::size_t{4} << 20;
constexpr std::uint32_t kLengthField = 4;

} // namespace

WalReader::WalReader(const LogIdentity& identity, const ReaderStart& start, RecordVisitor& visitor)
    : identity_(identity), visitor_(visitor), position_(start.at), previous_(start.previous),
      cold_(start.at % kPageSize == 0)
{
    CHECK(identity.layout != nullptr && valid_segment_size(identity.segment_size));
    header_size_ = identity_.header_size(page_address());
    bool possible = position_ <= kMaxPosition &&
                    (cold_ || (in_page() >= header_size_ && position_ % kAlignment == 0));
    status_ = possible ? resting() : Status{State::broken, Fault::start, position_};
}

std::optional<model::Offset> WalReader::unfinished() const
{
    if (segment_rest_ || !partial_.empty()) return record_start_;
    if (skip_ > 0 || (in_page() > 0 && in_page() < header_size_)) return page_address();
    return std::nullopt;
}

Status WalReader::resting() const
{
    return {unfinished() ? State::need_more : State::ok, Fault::none, position_};
}

bool WalReader::stopped() const
{
    return status_.state == State::end_of_log || status_.state == State::broken;
}

bool WalReader::stop(State state, Fault fault, model::Offset where)
{
    status_ = {state, fault, where};
    return false;
}

void WalReader::advance(base::ByteView& bytes, std::size_t count)
{
    bytes = bytes.subspan(count);
    position_ += count;
}

void WalReader::skip(base::ByteView& bytes, std::uint64_t count)
{
    advance(bytes, static_cast<std::size_t>(std::min<std::uint64_t>(count, bytes.size())));
}

Status WalReader::feed(model::Offset at, base::ByteView bytes)
{
    if (stopped()) return status_;
    if (at != position_ || bytes.size() > kMaxPosition - position_) {
        stop(State::broken, Fault::gap, position_);
        return status_;
    }
    while (!bytes.empty()) {
        if (segment_rest_) {
            skip(bytes, *segment_rest_ - position_);
            if (position_ == *segment_rest_) hand_over();
            continue;
        }
        if (in_page() == 0) header_size_ = identity_.header_size(position_);
        bool going_on = in_page() < header_size_ ? take_page_header(bytes) : take_records(bytes);
        if (!going_on) return status_;
    }
    status_ = resting();
    return status_;
}

bool WalReader::take_page_header(base::ByteView& bytes)
{
    std::size_t count = std::min<std::size_t>(bytes.size(), header_size_ - in_page());
    std::memcpy(header_bytes_.data() + in_page(), bytes.data(), count);
    advance(bytes, count);
    return in_page() < header_size_ || enter_page();
}

/// The header of the page at page_address() is complete.
bool WalReader::enter_page()
{
    model::Offset address = page_address();
    auto bytes = std::span(header_bytes_).first(header_size_);
    if (std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; }))
        return stop(State::end_of_log, Fault::none, partial_.empty() ? address : record_start_);

    PageHeader header = load_page_header(bytes.data());
    Fault fault = check_page_header(header, address, identity_, newest_timeline_);
    if (fault != Fault::none) return stop(State::broken, fault, address);
    newest_timeline_ = header.timeline;
    return continue_record(header);
}

/// Does the page continue what the page before left open, and only that?
bool WalReader::continue_record(const PageHeader& header)
{
    model::Offset address = page_address();
    bool first_page = std::exchange(cold_, false);
    if (header.has(kOverwrites)) {
        if (!partial_.empty()) given_up_ = record_start_;
        partial_.clear();
        skip_ = 0;
        return true;
    }
    if (!partial_.empty()) {
        std::uint64_t expected = partial_length_ - partial_.size();
        if (!header.has(kContinues) || header.remaining != expected)
            return stop(State::broken, Fault::continuation, address);
        return true;
    }
    if (skip_ > 0) {
        if (!header.has(kContinues) || header.remaining != skip_ - skip_padding_)
            return stop(State::broken, Fault::continuation, address);
        return true;
    }
    if (!header.has(kContinues)) return true;
    if (!first_page) return stop(State::broken, Fault::continuation, address);
    skip_ = align_up(header.remaining);
    skip_padding_ = static_cast<std::uint32_t>(skip_ - header.remaining);
    return true;
}

/// Consumes what `bytes` has of the current page, or stops before: at an XLOG_SWITCH.
bool WalReader::take_records(base::ByteView& bytes)
{
    std::size_t count = std::min<std::size_t>(bytes.size(), kPageSize - in_page());
    base::ByteView room = bytes.first(count);
    if (skip_ > 0) {
        auto before = position_;
        skip(room, skip_);
        skip_ -= position_ - before;
    }
    bool going_on = true;
    while (going_on && !room.empty() && !segment_rest_)
        going_on = partial_.empty() && room.size() >= kLengthField ? take_in_place(room)
                                                                   : take_partial(room);
    bytes = bytes.subspan(count - room.size());
    return going_on;
}

/// A record begins at `room`; hands it over from there if it is all in it.
bool WalReader::take_in_place(base::ByteView& room)
{
    auto length = load<std::uint32_t>(room.data());
    if (length == 0) return stop(State::end_of_log, Fault::none, position_);
    if (!valid_record_length(length)) return stop(State::broken, Fault::record_length, position_);
    std::uint64_t padded = align_up(length);
    if (padded > room.size()) return take_partial(room);

    model::Offset start = position_;
    const std::byte* bytes = room.data();
    if (!check_header(bytes, start)) return false;
    advance(room, static_cast<std::size_t>(padded));
    return finish_record({bytes, length}, start, position_);
}

/// Adds to the record under assembly, first up to its length, then its header, then all of it.
bool WalReader::take_partial(base::ByteView& room)
{
    if (partial_.empty()) {
        record_start_ = position_;
        partial_length_ = 0;
    }
    std::uint64_t goal = kLengthField;
    if (partial_length_ != 0)
        goal = partial_.size() < kRecordHeader ? kRecordHeader : align_up(partial_length_);
    auto count =
        static_cast<std::size_t>(std::min<std::uint64_t>(goal - partial_.size(), room.size()));
    partial_.insert(partial_.end(), room.begin(),
                    room.begin() + static_cast<std::ptrdiff_t>(count));
    advance(room, count);
    if (partial_.size() < goal) return true;

    if (partial_length_ == 0) {
        partial_length_ = load<std::uint32_t>(partial_.data());
        if (partial_length_ == 0) return stop(State::end_of_log, Fault::none, record_start_);
        if (!valid_record_length(partial_length_))
            return stop(State::broken, Fault::record_length, record_start_);
        return true;
    }
    if (goal == kRecordHeader && !check_header(partial_.data(), record_start_)) return false;
    if (partial_.size() < align_up(partial_length_)) return true;
    bool good =
        finish_record(base::ByteView(partial_).first(partial_length_), record_start_, position_);
    if (partial_.capacity() > kBufferToKeep) partial_ = {};
    partial_.clear();
    return good;
}

/// What a header can tell before the rest of its record is there.
bool WalReader::check_header(const std::byte* bytes, model::Offset start)
{
    RecordHeader header = load_record_header(bytes);
    bool linked = previous_ ? header.previous == *previous_ : header.previous < start;
    return linked || stop(State::broken, Fault::record_chain, start);
}

bool WalReader::finish_record(base::ByteView bytes, model::Offset start, model::Offset end)
{
    record_.start = start;
    record_.end = end;
    Fault fault = parse_record(*identity_.layout, bytes, record_);
    if (fault != Fault::none) return stop(State::broken, fault, start);
    if (given_up_ && !check_overwrite()) return false;
    previous_ = start;

    if (record_.is(XlogInfo::log_switch)) {
        model::Offset mask = identity_.segment_size - 1U;
        record_.end = (end + mask) & ~mask;
        if (record_.end > position_) {
            record_.main_data = {};
            record_start_ = start;
            segment_rest_ = record_.end;
            return true;
        }
    }
    visitor_.record(record_);
    return true;
}

/// After a crash the server writes this record where the rest of a torn one should have been.
bool WalReader::check_overwrite()
{
    bool names_it = record_.is(XlogInfo::overwrite_contrecord) &&
                    record_.main_data.size() >= sizeof(std::uint64_t) &&
                    load<std::uint64_t>(record_.main_data.data()) == *given_up_;
    given_up_.reset();
    return names_it || stop(State::broken, Fault::overwrite, record_.start);
}

/// The segment that an XLOG_SWITCH gave up is over.
void WalReader::hand_over()
{
    segment_rest_.reset();
    visitor_.record(record_);
}

} // namespace tidemark::engine::postgres::wal
