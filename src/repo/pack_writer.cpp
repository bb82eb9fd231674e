#include "base/check.h"
#include "base/error.h"
#include "repo/container.h"
#include "repo/pack.h"
#include "repo/pack_parts.h"

#include <fmt/format.h>

namespace tidemark::repo {

using base::ByteWriter;
using base::Code;
using base::Error;

base::Bytes encode_pack_header(const PackId& id)
{
    ByteWriter out;
    put_skippable(out, kPackHeaderSize - kSkippableSize);
    put_preamble(out, kPackPreamble);
    out.u64(id.backup);
    out.u64(id.lease);
    out.u32(id.number);
    put_crc(out);
    CHECK(out.size() == kPackHeaderSize);
    return out.take();
}

base::Bytes encode_pack_trailer(const PackInfo& info)
{
    ByteWriter out;
    put_skippable(out, kPackTrailerSize - kSkippableSize);
    out.u32(kPackTrailerMagic);
    out.u32(info.frames);
    out.u64(info.length);
    out.u64(info.plain_bytes);
    out.raw(info.root);
    put_crc(out);
    CHECK(out.size() == kPackTrailerSize);
    return out.take();
}

struct PackWriter::Open {
    std::string key;
    std::unique_ptr<store::ObjectWriter> object;
    stream::Sha256 root;
    PackInfo info;
};

PackWriter::PackWriter(store::Storage& storage, PackNumbers& numbers, PackOptions options)
    : storage_(storage), numbers_(numbers), options_(std::move(options)),
      sealer_(options_.compression)
{
}

PackWriter::PackWriter(PackWriter&&) noexcept = default;
PackWriter::~PackWriter() = default;

void PackWriter::begin()
{
    PackId id{.backup = options_.backup, .lease = options_.lease, .number = numbers_.next()};
    if (id.number > kMaxPack) {
        throw Error{Code::failed,
                    fmt::format("backup {} needs more than {} packs", id.backup, kMaxPack),
                    {.hint = "raise the size of packs"}};
    }
    open_ = std::make_unique<Open>();
    open_->key = pack_key(options_.member, id);
    open_->object = storage_.create(open_->key);
    open_->info.id = id;
    base::Bytes header = encode_pack_header(id);
    open_->object->write(header);
    open_->info.length = header.size();
}

FrameRef PackWriter::append(base::ByteView plain)
{
    if (!open_) begin();
    PackInfo& info = open_->info;
    FrameHeader header = sealer_.seal(info.frames, plain);
    base::ByteView bytes = sealer_.bytes();
    FrameRef ref{.pack = info.id,
                 .offset = info.length,
                 .stored_length = header.stored_length,
                 .plain_length = header.plain_length,
                 .xxh3 = header.xxh3,
                 .sha16 = header.sha16};
    open_->object->write(bytes);
    open_->root.update(header.sha16);
    info.length += bytes.size();
    info.plain_bytes += plain.size();
    ++info.frames;
    if (info.length >= options_.rotate_at) commit();
    return ref;
}

void PackWriter::commit()
{
    PackInfo& info = open_->info;
    info.root = open_->root.digest();
    info.length += kPackTrailerSize;
    open_->object->write(encode_pack_trailer(info));
    if (open_->object->commit() != store::Created::yes) {
        throw Error{Code::failed,
                    fmt::format("pack {} is already there", open_->key),
                    {.hint = "another program uses this lease's number; run the job again"}};
    }
    done_bytes_ += info.length;
    done_.push_back(info);
    open_.reset();
}

std::uint64_t PackWriter::written() const
{
    return done_bytes_ + (open_ ? open_->info.length : 0);
}

std::uint64_t PackWriter::durable() const
{
    return done_bytes_ + (open_ ? open_->object->durable() : 0);
}

std::vector<PackInfo> PackWriter::finish()
{
    if (open_) commit();
    return std::move(done_);
}

} // namespace tidemark::repo
