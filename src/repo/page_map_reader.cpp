#include "base/error.h"
#include "base/io.h"
#include "repo/damage.h"
#include "repo/page_map_parts.h"

#include <fmt/format.h>

namespace tidemark::repo {

using base::ByteReader;
using base::Bytes;
using base::ByteSpan;
using base::ByteView;
using base::Code;
using base::Error;

namespace {

model::FileEntry get_file(ByteReader& in)
{
    model::FileEntry entry;
    entry.index = static_cast<std::uint32_t>(get_varint(in, ~0U, "a file's number"));
    std::uint8_t kind = in.u8();
    if (kind < 1 || kind > 3)
        throw Error{Code::failed, fmt::format("file kind {} is unknown", kind)};
    entry.kind = static_cast<model::FileKind>(kind);
    entry.mode = static_cast<std::uint32_t>(get_varint(in, 07777, "a file's mode"));
    entry.modified = base::Time{base::Duration{get_zigzag(in)}};
    bool regular = entry.kind == model::FileKind::regular;
    entry.size = get_varint(in, regular ? kMaxFileSize : 0, "a file's size");
    entry.path = get_text(in, kMaxPath, "a path's length");
    bool link = entry.kind == model::FileKind::tablespace_link;
    entry.link_target = get_text(in, link ? kMaxPath : 0, "a link's length");
    if (entry.link_target.find('\0') != std::string::npos) {
        throw Error{Code::failed, "holds a link with a NUL byte"};
    }
    check_path(entry.path);
    return entry;
}

Extent get_extent(ByteReader& in, const Extent& before, std::uint32_t plain_length)
{
    std::uint64_t file = get_delta(in, before.file);
    bool same = file == before.file;
    std::uint64_t offset = get_delta(in, same ? before.offset + before.length : 0);
    std::uint64_t length = get_varint(in, plain_length, "an extent's length");
    std::uint64_t at = get_delta(in, std::uint64_t{before.plain_offset} + before.length);
    if (file > ~0U || offset > kMaxFileSize || length == 0 || at > plain_length - length) {
        throw Error{Code::failed,
                    fmt::format("an extent of file {} lies outside its frame or file", file)};
    }
    return {.file = static_cast<std::uint32_t>(file),
            .offset = offset,
            .length = static_cast<std::uint32_t>(length),
            .plain_offset = static_cast<std::uint32_t>(at)};
}

FrameRef get_frame(ByteReader& in)
{
    FrameRef ref;
    ref.pack.backup = get_varint(in, kMaxNumber, "a backup's number");
    ref.pack.lease = get_varint(in, kMaxNumber, "a lease's number");
    ref.pack.number = static_cast<std::uint32_t>(get_varint(in, kMaxPack, "a pack's number"));
    ref.offset = get_varint(in, 1ULL << 56, "a frame's offset");
    ref.stored_length =
        static_cast<std::uint32_t>(get_varint(in, kMaxFrameStored, "a frame's stored length"));
    ref.plain_length =
        static_cast<std::uint32_t>(get_varint(in, kMaxFramePlain, "a frame's plain length"));
    ref.xxh3 = in.u64();
    ref.sha16 = get_array<16>(in);
    if (ref.offset < kPackHeaderSize || ref.stored_length == 0 || ref.plain_length == 0) {
        throw Error{Code::failed, "points to a frame that cannot be"};
    }
    return ref;
}

class Parser {
public:
    Parser(base::ByteSource& source, PageMapVisitor& visitor) : source_(source), visitor_(visitor)
    {
    }

    PageMapInfo run()
    {
        header();
        while (true) {
            ByteView head = take(head_, kChunkHeaderSize);
            if (base::load_u32(head.data()) == kPageMapTrailerMagic) break;
            chunk(head);
        }
        trailer();
        ledger_.settle();
        info_.sha256 = hash_.digest();
        return info_;
    }

private:
    ByteView take(Bytes& buffer, std::size_t count)
    {
        buffer.resize(count);
        return append(buffer, 0);
    }
    /// Fills `buffer` from `from` on.
    ByteView append(Bytes& buffer, std::size_t from)
    {
        ByteSpan into = ByteSpan(buffer).subspan(from);
        if (!base::read_exactly(source_, into)) {
            throw Error{Code::failed,
                        fmt::format("ends at byte {}, before its trailer", info_.length)};
        }
        hash_.update(into);
        info_.length += into.size();
        return buffer;
    }

    void header()
    {
        ByteView bytes = take(head_, kPageMapHeaderSize);
        ByteReader in(bytes, "page map header");
        check_preamble(in, kPageMapPreamble, "page map");
        check_crc(bytes, "the page map's header");
        info_.backup = in.u64();
        info_.lease = in.u64();
    }

    void chunk(ByteView head)
    {
        check_crc(head, fmt::format("the header of chunk {}", chunks_));
        ByteReader in(head, "chunk header");
        std::uint32_t magic = in.u32();
        std::uint32_t number = in.u32();
        std::uint32_t records = in.u32();
        std::uint32_t length = in.u32();
        auto sha16 = get_array<16>(in);
        if (magic != kChunkMagic || number != chunks_ || length == 0 || length > kMaxChunk) {
            throw Error{Code::failed,
                        fmt::format("does not hold chunk {} where it must be", chunks_)};
        }
        ByteView payload = take(payload_, length);
        if (stream::sha16(payload) != sha16) {
            throw Error{Code::failed, fmt::format("chunk {} fails its SHA-256", number)};
        }
        ++chunks_;
        ByteReader body(payload, "chunk");
        for (std::uint32_t i = 0; i < records; ++i)
            record(body);
        if (body.remaining() != 0) throw Error{Code::failed, "a chunk holds more than its records"};
    }

    void record(ByteReader& in)
    {
        std::uint8_t type = in.u8();
        if (type == kFileRecord) {
            model::FileEntry entry = get_file(in);
            ledger_.declare(entry);
            ++info_.totals.files;
            info_.totals.file_bytes += entry.size;
            calling_back([&] { visitor_.file(entry); });
            return;
        }
        if (type != kFrameRecord)
            throw Error{Code::failed, fmt::format("record type {} is unknown", type)};
        FrameRef frame = get_frame(in);
        std::uint64_t count = get_varint(in, kMaxExtents, "the number of extents");
        if (count == 0) throw Error{Code::failed, "holds a frame without an extent"};
        extents_.clear();
        Extent before;
        for (std::uint64_t i = 0; i < count; ++i) {
            before = get_extent(in, before, frame.plain_length);
            ledger_.cover(before);
            info_.totals.covered_bytes += before.length;
            extents_.push_back(before);
        }
        ++info_.totals.frames;
        info_.totals.extents += count;
        calling_back([&] { visitor_.frame(frame, extents_); });
    }

    void trailer()
    {
        head_.resize(kPageMapTrailerSize);
        ByteView bytes = append(head_, kChunkHeaderSize);
        check_crc(bytes, "the page map's trailer");
        ByteReader in(bytes, "page map trailer");
        in.u32();
        std::uint32_t chunks = in.u32();
        PageMapTotals told{.files = in.u64(),
                           .file_bytes = in.u64(),
                           .frames = in.u64(),
                           .extents = in.u64(),
                           .covered_bytes = in.u64()};
        if (in.u32() != 0 || chunks != chunks_ || told != info_.totals) {
            throw Error{Code::failed, "the trailer's totals disagree with the records"};
        }
        std::byte more;
        if (source_.read({&more, 1}) != 0) throw Error{Code::failed, "goes on after its trailer"};
    }

    base::ByteSource& source_;
    PageMapVisitor& visitor_;
    stream::Sha256 hash_;
    Bytes head_;
    Bytes payload_;
    std::uint32_t chunks_ = 0;
    std::vector<Extent> extents_;
    FileLedger ledger_;
    PageMapInfo info_;
};

} // namespace

void PageMapVisitor::file(const model::FileEntry&) {}
void PageMapVisitor::frame(const FrameRef&, std::span<const Extent>) {}

PageMapInfo parse_page_map(base::ByteSource& source, PageMapVisitor& visitor)
{
    try {
        return Parser(source, visitor).run();
    } catch (const CallerFailed& caller) {
        std::rethrow_exception(caller.why);
    }
}

PageMapInfo read_page_map(store::Storage& storage, const MemberId& member, Number backup,
                          Number lease, PageMapVisitor& visitor,
                          const std::optional<stream::Sha256Digest>& expected)
{
    std::string key = page_map_key(member, backup, lease);
    auto source = storage.open(key);
    if (!source) throw missing(key);
    PageMapInfo info = parsing(key, [&] { return Parser(*source, visitor).run(); });
    if (info.backup != backup || info.lease != lease) {
        throw damaged(key, fmt::format("says it is the page map of backup {}", info.backup));
    }
    if (expected && *expected != info.sha256) {
        throw damaged(key, "its SHA-256 is not the one in the manifest");
    }
    return info;
}

} // namespace tidemark::repo
