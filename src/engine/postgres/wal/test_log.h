#pragma once

#include "engine/postgres/wal/page.h"
#include "engine/postgres/wal/record.h"

#include "base/bytes.h"
#include "stream/crc32c.h"

#include <optional>
#include <string>
#include <vector>

/// A log written by hand for tests: pages and records laid out as a server does.
namespace tidemark::engine::postgres::wal {

struct TestBlock {
    std::uint8_t id = 0;
    Fork fork = Fork::main;
    RelationFile file = {.tablespace = 1663, .database = 5, .number = 16384};
    std::uint32_t block = 0;
    base::Bytes image = {};
    base::Bytes data = {};
    bool same_relation = false;
};

struct TestRecord {
    std::uint8_t manager = 10;
    std::uint8_t info = 0;
    std::uint32_t xid = 0;
    base::Bytes main = {};
    std::vector<TestBlock> blocks = {};
};

class TestLog {
public:
    struct Options {
        int major = 15;
        std::uint32_t segment_size = kMinSegmentSize;
        std::uint64_t system_id = 0x1234567890ABCDEF;
        model::Epoch timeline = 1;
        model::Offset from = 0x3000000; ///< a segment's start
    };

    TestLog() : TestLog(Options{}) {}
    explicit TestLog(const Options& options) : options_(options), position_(options.from) {}

    /// Appends a record; returns its start.
    model::Offset add(const TestRecord& record) { return add_bytes(render(record)); }

    /// The first `count` bytes of a record, then a crash: the rest of its page stays empty and the
    /// next page says so. Returns the record's start.
    model::Offset add_torn(const TestRecord& record, std::size_t count)
    {
        base::Bytes whole = render(record);
        begin_page(0, 0);
        model::Offset start = position_;
        put(base::ByteView(whole).first(count), whole.size());
        fill_page();
        next_page_overwrites_ = true;
        return start;
    }

    /// XLOG_SWITCH and the empty rest of its segment. Returns its start.
    model::Offset add_switch()
    {
        model::Offset start =
            add({.manager = kXlog, .info = static_cast<std::uint8_t>(XlogInfo::log_switch)});
        std::size_t rest =
            (options_.segment_size - position_ % options_.segment_size) % options_.segment_size;
        append_zeros(rest);
        return start;
    }

    void append_zeros(std::size_t count)
    {
        bytes_.resize(bytes_.size() + count);
        position_ += count;
    }

    /// Bytes the next record may fill of the current page.
    std::size_t page_room() const
    {
        std::size_t in_page = position_ % kPageSize;
        return in_page == 0 ? 0 : kPageSize - in_page;
    }

    /// A record that leaves exactly `room` bytes of the current page, a multiple of 8.
    void pad_page_to(std::size_t room)
    {
        begin_page(0, 0);
        constexpr std::size_t kOverhead = kRecordHeader + 5; // long form of main data
        add({.main = base::Bytes(page_room() - room - kOverhead, std::byte{'p'})});
    }

    /// Whole records only: header, parts, CRC; `previous` as it stands.
    base::Bytes render(const TestRecord& record) const;

    model::Offset add_bytes(base::ByteView whole)
    {
        begin_page(0, 0);
        model::Offset start = position_;
        put(whole, whole.size());
        append_zeros(align_up(position_) - position_);
        previous_ = start;
        return start;
    }

    model::Offset from() const { return options_.from; }
    model::Offset position() const { return position_; }
    base::Bytes& bytes() { return bytes_; }
    base::ByteView view(model::Offset from) const
    {
        return base::ByteView(bytes_).subspan(from - options_.from);
    }
    LogIdentity identity() const
    {
        return {.layout = layout_of_major(options_.major),
                .segment_size = options_.segment_size,
                .system_id = options_.system_id,
                .timeline = options_.timeline};
    }

private:
    void begin_page(std::uint16_t flags, std::uint32_t remaining)
    {
        if (position_ % kPageSize != 0) return;
        bool first = position_ % options_.segment_size == 0;
        if (next_page_overwrites_) flags = kOverwrites;
        next_page_overwrites_ = false;
        base::ByteWriter header;
        header.u16(layout_of_major(options_.major)->page_magic);
        header.u16(static_cast<std::uint16_t>(flags | (first ? kLongHeader : 0)));
        header.u32(options_.timeline);
        header.u64(position_);
        header.u32(remaining);
        header.u32(0);
        if (first) {
            header.u64(options_.system_id);
            header.u32(options_.segment_size);
            header.u32(kPageSize);
        }
        bytes_.insert(bytes_.end(), header.bytes().begin(), header.bytes().end());
        position_ += header.size();
    }

    void put(base::ByteView part, std::size_t whole)
    {
        std::size_t done = 0;
        while (done < part.size()) {
            begin_page(kContinues, static_cast<std::uint32_t>(whole - done));
            std::size_t count = std::min(part.size() - done, page_room());
            auto piece = part.subspan(done, count);
            bytes_.insert(bytes_.end(), piece.begin(), piece.end());
            position_ += count;
            done += count;
        }
    }

    void fill_page() { append_zeros(page_room()); }

    Options options_;
    model::Offset position_;
    model::Offset previous_ = 0;
    bool next_page_overwrites_ = false;
    base::Bytes bytes_;
};

inline base::Bytes TestLog::render(const TestRecord& record) const
{
    base::ByteWriter parts;
    for (const TestBlock& block : record.blocks) {
        parts.u8(block.id);
        parts.u8(static_cast<std::uint8_t>(
            static_cast<unsigned>(block.fork) | (block.image.empty() ? 0U : 0x10U) |
            (block.data.empty() ? 0U : 0x20U) | (block.same_relation ? 0x80U : 0U)));
        parts.u16(static_cast<std::uint16_t>(block.data.size()));
        if (!block.image.empty()) {
            parts.u16(static_cast<std::uint16_t>(block.image.size()));
            parts.u16(0);
            parts.u8(0);
        }
        if (!block.same_relation) {
            parts.u32(block.file.tablespace);
            parts.u32(block.file.database);
            parts.u32(block.file.number);
        }
        parts.u32(block.block);
    }
    if (record.main.size() > 255) {
        parts.u8(254);
        parts.u32(static_cast<std::uint32_t>(record.main.size()));
    } else if (!record.main.empty()) {
        parts.u8(255);
        parts.u8(static_cast<std::uint8_t>(record.main.size()));
    }
    for (const TestBlock& block : record.blocks) {
        parts.raw(block.image);
        parts.raw(block.data);
    }
    parts.raw(record.main);

    base::ByteWriter whole;
    whole.u32(static_cast<std::uint32_t>(kRecordHeader + parts.size()));
    whole.u32(record.xid);
    whole.u64(previous_);
    whole.u8(record.info);
    whole.u8(record.manager);
    whole.u16(0);
    std::uint32_t crc = stream::crc32c(whole.bytes(), stream::crc32c(parts.bytes()));
    whole.u32(crc);
    whole.raw(parts.bytes());
    return whole.take();
}

} // namespace tidemark::engine::postgres::wal
