#include "base/check.h"
#include "base/error.h"
#include "repo/page_map_parts.h"

#include <fmt/format.h>
#include <utility>

namespace tidemark::repo {

using base::ByteWriter;
using base::Code;
using base::Error;

namespace {

/// A record is below this, so that a chunk flushed here stays below kMaxChunk.
constexpr std::size_t kFlushAt = kMaxChunk / 2;

void put_frame(ByteWriter& out, const FrameRef& frame, std::span<const Extent> extents)
{
    out.u8(kFrameRecord);
    put_varint(out, frame.pack.backup);
    put_varint(out, frame.pack.lease);
    put_varint(out, frame.pack.number);
    put_varint(out, frame.offset);
    put_varint(out, frame.stored_length);
    put_varint(out, frame.plain_length);
    out.u64(frame.xxh3);
    out.raw(frame.sha16);
    put_varint(out, extents.size());
    Extent before;
    for (const Extent& extent : extents) {
        bool same = extent.file == before.file;
        put_delta(out, extent.file, before.file);
        put_delta(out, extent.offset, same ? before.offset + before.length : 0);
        put_varint(out, extent.length);
        put_delta(out, extent.plain_offset, before.plain_offset + before.length);
        before = extent;
    }
}

} // namespace

PageMapWriter::PageMapWriter(store::Storage& storage, const MemberId& member, Number backup,
                             Number lease)
    : key_(page_map_key(member, backup, lease)), object_(storage.create(key_))
{
    info_.backup = backup;
    info_.lease = lease;
    ByteWriter out;
    put_preamble(out, kPageMapPreamble);
    out.u64(backup);
    out.u64(lease);
    put_crc(out);
    CHECK(out.size() == kPageMapHeaderSize);
    put(out.bytes());
}

void PageMapWriter::put(base::ByteView bytes)
{
    object_->write(bytes);
    hash_.update(bytes);
    info_.length += bytes.size();
}

void PageMapWriter::add_file(const model::FileEntry& entry)
{
    check_path(entry.path);
    CHECK(entry.size <= kMaxFileSize && entry.link_target.size() <= kMaxPath);
    CHECK(entry.kind == model::FileKind::regular || entry.size == 0);
    std::lock_guard lock(mutex_);
    ledger_.declare(entry);
    chunk_.u8(kFileRecord);
    put_varint(chunk_, entry.index);
    chunk_.u8(static_cast<std::uint8_t>(entry.kind));
    put_varint(chunk_, entry.mode);
    put_zigzag(chunk_, entry.modified.time_since_epoch().count());
    put_varint(chunk_, entry.size);
    put_text(chunk_, entry.path);
    put_text(chunk_, entry.link_target);
    ++info_.totals.files;
    info_.totals.file_bytes += entry.size;
    record_added();
}

void PageMapWriter::add_frame(const FrameRef& frame, std::span<const Extent> extents)
{
    CHECK(!extents.empty() && extents.size() <= kMaxExtents);
    std::lock_guard lock(mutex_);
    for (const Extent& extent : extents) {
        CHECK(extent.length >= 1 && extent.plain_offset <= frame.plain_length &&
              extent.length <= frame.plain_length - extent.plain_offset);
        CHECK(extent.offset <= kMaxFileSize);
        ledger_.cover(extent);
        info_.totals.covered_bytes += extent.length;
    }
    put_frame(chunk_, frame, extents);
    ++info_.totals.frames;
    info_.totals.extents += extents.size();
    record_added();
}

void PageMapWriter::record_added()
{
    ++records_;
    if (chunk_.size() >= kFlushAt) flush();
}

void PageMapWriter::flush()
{
    base::Bytes payload = std::exchange(chunk_, {}).take();
    CHECK(payload.size() <= kMaxChunk);
    ByteWriter head;
    head.u32(kChunkMagic);
    head.u32(chunks_++);
    head.u32(std::exchange(records_, 0));
    head.u32(static_cast<std::uint32_t>(payload.size()));
    head.raw(stream::sha16(payload));
    put_crc(head);
    CHECK(head.size() == kChunkHeaderSize);
    put(head.bytes());
    put(payload);
}

PageMapInfo PageMapWriter::finish()
{
    std::lock_guard lock(mutex_);
    base::with_context("page map", [&] { ledger_.settle(); });
    if (records_ > 0) flush();
    const PageMapTotals& totals = info_.totals;
    ByteWriter out;
    out.u32(kPageMapTrailerMagic);
    out.u32(chunks_);
    out.u64(totals.files);
    out.u64(totals.file_bytes);
    out.u64(totals.frames);
    out.u64(totals.extents);
    out.u64(totals.covered_bytes);
    out.u32(0);
    put_crc(out);
    CHECK(out.size() == kPageMapTrailerSize);
    put(out.bytes());
    info_.sha256 = hash_.digest();
    if (object_->commit() != store::Created::yes) {
        throw Error{Code::failed,
                    fmt::format("page map {} is already there", key_),
                    {.hint = "another program uses this lease's number; run the job again"}};
    }
    return info_;
}

} // namespace tidemark::repo
