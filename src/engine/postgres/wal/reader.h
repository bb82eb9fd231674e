#pragma once

#include "engine/postgres/wal/page.h"
#include "engine/postgres/wal/record.h"
#include "engine/postgres/wal/status.h"

#include "base/bytes.h"

#include <array>
#include <optional>

namespace tidemark::engine::postgres::wal {

/// Receives the records of a log in their order.
class RecordVisitor {
public:
    virtual ~RecordVisitor() = default;
    /// `record` and its views are valid during the call.
    virtual void record(const Record& record) = 0;
};

/// Where reading begins.
struct ReaderStart {
    /// A record's start, or a page boundary. At a page boundary the rest of a record that began
    /// earlier is skipped: that record belongs to whoever has its beginning.
    model::Offset at = 0;
    /// Start of the record before, where known; the first record must name it then.
    std::optional<model::Offset> previous = std::nullopt;
};

/// Takes a log apart into records. Pure: bytes are pushed in at any boundaries, records come out
/// at the visitor, in place where a record lies within one page of what was fed, else assembled in
/// a buffer that grows only with bytes that arrived. Every page header, length, CRC and link to the
/// previous record is checked; no length in the log is trusted. Nothing throws but memory.
///
/// A record is handed over when the bytes up to its `end` were fed, padding included; XLOG_SWITCH
/// ends with its segment, whose rest is not looked at.
class WalReader {
public:
    /// `identity.layout` must be set and `identity.segment_size` valid.
    WalReader(const LogIdentity& identity, const ReaderStart& start, RecordVisitor& visitor);

    /// `bytes` are the log from `at` on, which must be position(). After `end_of_log` or `broken`
    /// the reader takes nothing more and repeats that status.
    Status feed(model::Offset at, base::ByteView bytes);

    Status status() const { return status_; }
    /// The next byte to feed.
    model::Offset position() const { return position_; }
    /// Where a new reader must begin so that no record is lost; nothing when that is position().
    std::optional<model::Offset> unfinished() const;

private:
    bool take_page_header(base::ByteView& bytes);
    bool enter_page();
    bool continue_record(const PageHeader& header);
    bool take_records(base::ByteView& bytes);
    bool take_in_place(base::ByteView& room);
    bool take_partial(base::ByteView& room);
    bool check_header(const std::byte* bytes, model::Offset start);
    bool finish_record(base::ByteView bytes, model::Offset start, model::Offset end);
    bool check_overwrite();
    void hand_over();
    void skip(base::ByteView& bytes, std::uint64_t count);
    void advance(base::ByteView& bytes, std::size_t count);
    bool stop(State state, Fault fault, model::Offset where);
    Status resting() const;
    bool stopped() const;

    std::uint32_t in_page() const { return static_cast<std::uint32_t>(position_ % kPageSize); }
    model::Offset page_address() const { return position_ - in_page(); }

    LogIdentity identity_;
    RecordVisitor& visitor_;
    model::Offset position_;
    Status status_;
    model::Epoch newest_timeline_ = 0;
    std::uint32_t header_size_; ///< of the page that holds position_

    std::optional<model::Offset> previous_; ///< start of the last complete record
    std::optional<model::Offset> given_up_; ///< start of a record that an overwrite must name
    bool cold_;                             ///< the first page may continue a record not ours
    std::uint64_t skip_ = 0;                ///< bytes of that record to come, padding included
    std::uint32_t skip_padding_ = 0;

    base::Bytes partial_; ///< beginning of the record at record_start_, without page headers
    model::Offset record_start_ = 0;
    std::uint32_t partial_length_ = 0; ///< its length once known, else 0

    std::optional<model::Offset> segment_rest_; ///< end of the segment an XLOG_SWITCH gave up
    std::array<std::byte, kLongPageHeader> header_bytes_{};
    Record record_;
};

} // namespace tidemark::engine::postgres::wal
