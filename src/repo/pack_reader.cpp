#include "base/error.h"
#include "base/io.h"
#include "repo/damage.h"
#include "repo/pack.h"
#include "repo/pack_parts.h"

#include <fmt/format.h>

namespace tidemark::repo {

using base::ByteReader;
using base::Bytes;
using base::ByteSpan;
using base::ByteView;
using base::Code;
using base::Error;

namespace {

/// The next `count` bytes; the source's end inside them is an Error.
ByteView read_next(base::ByteSource& source, Bytes& buffer, std::size_t count)
{
    if (buffer.size() < count) buffer.resize(count);
    ByteSpan into = ByteSpan(buffer).first(count);
    if (!base::read_exactly(source, into)) {
        throw Error{Code::failed, fmt::format("ends where {} more bytes must be", count)};
    }
    return into;
}

void check_header(ByteView bytes, const PackId& expected)
{
    ByteReader in(bytes, "pack header");
    check_skippable(in, kPackHeaderSize - kSkippableSize, "pack header");
    check_preamble(in, kPackPreamble, "pack");
    check_crc(bytes, "the pack header");
    PackId id{.backup = in.u64(), .lease = in.u64(), .number = in.u32()};
    if (id != expected) {
        throw Error{Code::failed,
                    fmt::format("says it is pack {} of backup {}", id.number, id.backup)};
    }
}

/// A trailer is told from a frame by its length field.
bool is_trailer(ByteView head)
{
    return base::load_u32(head.data() + 4) == kPackTrailerSize - kSkippableSize;
}

PackInfo decode_trailer(ByteView bytes, const PackId& id)
{
    ByteReader in(bytes, "pack trailer");
    check_skippable(in, kPackTrailerSize - kSkippableSize, "pack trailer");
    check_crc(bytes, "the pack trailer");
    if (in.u32() != kPackTrailerMagic) throw Error{Code::failed, "has no pack trailer"};
    PackInfo info;
    info.id = id;
    info.frames = in.u32();
    info.length = in.u64();
    info.plain_bytes = in.u64();
    info.root = get_array<32>(in);
    return info;
}

class Scanner {
public:
    Scanner(base::ByteSource& source, const PackId& id, const PackScan& how)
        : source_(source), id_(id), how_(how)
    {
    }

    PackInfo run()
    {
        check_header(read_next(source_, buffer_, kPackHeaderSize), id_);
        seen_.id = id_;
        seen_.length = kPackHeaderSize;
        Bytes head(kFrameHeaderSize);
        while (true) {
            read_next(source_, head, kFrameHeaderSize);
            if (is_trailer(head)) break;
            frame(decode_frame_header(head));
        }
        ByteView rest = read_next(source_, buffer_, kPackTrailerSize - kFrameHeaderSize);
        head.insert(head.end(), rest.begin(), rest.end());
        PackInfo told = decode_trailer(head, id_);
        seen_.length += kPackTrailerSize;
        seen_.root = root_.digest();
        if (told != seen_) throw Error{Code::failed, "the trailer disagrees with the frames"};
        std::byte more;
        if (source_.read({&more, 1}) != 0) throw Error{Code::failed, "goes on after its trailer"};
        return seen_;
    }

private:
    void frame(const FrameHeader& header)
    {
        if (header.number != seen_.frames) {
            throw Error{Code::failed, fmt::format("frame {} stands where frame {} must be",
                                                  header.number, seen_.frames)};
        }
        ByteView stored = read_next(source_, buffer_, header.stored_length);
        if (how_.unpack) {
            plain_.resize(header.plain_length);
            open_frame(header, stored, plain_, decompressor_);
        } else {
            check_stored(header, stored);
        }
        if (how_.frame) {
            FrameRef ref{.pack = id_,
                         .offset = seen_.length,
                         .stored_length = header.stored_length,
                         .plain_length = header.plain_length,
                         .xxh3 = header.xxh3,
                         .sha16 = header.sha16};
            calling_back([&] { how_.frame(ref); });
        }
        root_.update(header.sha16);
        seen_.length += kFrameHeaderSize + header.stored_length;
        seen_.plain_bytes += header.plain_length;
        ++seen_.frames;
    }

    base::ByteSource& source_;
    PackId id_;
    const PackScan& how_;
    PackInfo seen_;
    stream::Sha256 root_;
    stream::Decompressor decompressor_;
    Bytes buffer_;
    Bytes plain_;
};

} // namespace

PackReader::PackReader(store::Storage& storage, MemberId member)
    : storage_(storage), member_(std::move(member))
{
}

ByteView PackReader::read(const FrameRef& ref)
{
    std::string key = pack_key(member_, ref.pack);
    if (ref.stored_length > kMaxFrameStored || ref.plain_length > kMaxFramePlain) {
        throw damaged(key,
                      fmt::format("the page map points to a frame of {} bytes", ref.stored_length));
    }
    std::size_t size = kFrameHeaderSize + ref.stored_length;
    auto source = storage_.open(key, store::Range{.offset = ref.offset, .length = size});
    if (!source) throw missing(key);
    return parsing(fmt::format("{} at offset {}", key, ref.offset), [&]() -> ByteView {
        ByteView bytes = read_next(*source, stored_, size);
        FrameHeader header = decode_frame_header(bytes.first(kFrameHeaderSize));
        if (header.stored_length != ref.stored_length || header.plain_length != ref.plain_length ||
            header.xxh3 != ref.xxh3 || header.sha16 != ref.sha16) {
            throw Error{Code::failed, "holds another frame than the page map says"};
        }
        plain_.reserve(header.plain_length);
        ByteSpan plain = plain_.first(header.plain_length);
        open_frame(header, bytes.subspan(kFrameHeaderSize), plain, decompressor_);
        return plain;
    });
}

PackInfo parse_pack(base::ByteSource& source, const PackId& pack, const PackScan& how)
{
    try {
        return Scanner(source, pack, how).run();
    } catch (const CallerFailed& caller) {
        std::rethrow_exception(caller.why);
    }
}

PackInfo scan_pack(store::Storage& storage, const MemberId& member, const PackId& pack,
                   const PackScan& how)
{
    std::string key = pack_key(member, pack);
    auto source = storage.open(key);
    if (!source) throw missing(key);
    return parsing(key, [&] { return Scanner(*source, pack, how).run(); });
}

} // namespace tidemark::repo
