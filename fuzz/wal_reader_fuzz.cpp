#include "engine/postgres/wal/decoder.h"
#include "engine/postgres/wal/test_log.h"
#include "engine/postgres/wal/xact.h"
#include "engine/postgres/wal/xlog_record.h"

#include "base/check.h"
#include "base/error.h"

#include <random>

/// The log reader on foreign bytes. The first byte chooses how the rest is taken, the second a seed
/// for chunks and cuts:
///   0  a log from a segment's start on, as it is
///   1  one record after its header, which is made right for it
///   2  a log written by us of records whose contents are the input
/// and the upper bits which version's layout is used.

namespace {

using namespace tidemark;
using namespace tidemark::engine::postgres::wal;
using base::ByteView;

const Layout& layout_of_choice(unsigned choice)
{
    return kLayouts[choice % std::size(kLayouts)];
}

/// What must not depend on how the bytes were cut.
struct Sum {
    Status status;
    std::uint64_t records = 0;
    std::uint64_t digest = 0;
    friend bool operator==(const Sum&, const Sum&) = default;
};

class Summer final : public RecordVisitor {
public:
    void record(const Record& record) override
    {
        CHECK(record.end > last_end_ && record.start < record.end);
        CHECK(record.block_count <= kMaxBlocks && record.main_data.size() < record.length);
        last_end_ = record.end;
        ++sum.records;
        for (std::uint64_t value : {record.start, record.end, std::uint64_t{record.length},
                                    std::uint64_t{record.info}, std::uint64_t{record.image_bytes}})
            sum.digest = (sum.digest ^ value) * 0x100000001B3;
        sum.digest ^= stream::crc32c(record.main_data);
    }
    Sum sum;

private:
    model::Offset last_end_ = 0;
};

template <typename Consume>
void in_chunks(ByteView bytes, std::uint32_t seed, model::Offset at, Consume consume)
{
    std::mt19937 random(seed);
    while (!bytes.empty()) {
        std::size_t largest = std::size_t{1} << (random() % 14);
        auto piece = bytes.first(std::min<std::size_t>(bytes.size(), 1 + random() % largest));
        consume(at, piece);
        at += piece.size();
        bytes = bytes.subspan(piece.size());
    }
}

Sum read_whole(const LogIdentity& identity, model::Offset at, ByteView bytes)
{
    Summer summer;
    WalReader reader(identity, {.at = at}, summer);
    summer.sum.status = reader.feed(at, bytes);
    return summer.sum;
}

Sum read_pieces(const LogIdentity& identity, model::Offset at, ByteView bytes, std::uint32_t seed)
{
    Summer summer;
    WalReader reader(identity, {.at = at}, summer);
    in_chunks(bytes, seed, at, [&](model::Offset from, ByteView piece) {
        reader.feed(from, piece);
        CHECK(reader.unfinished().value_or(0) <= reader.position());
    });
    summer.sum.status = reader.status();
    return summer.sum;
}

void fuzz_log(const Layout& layout, std::uint32_t seed, ByteView bytes)
{
    if (bytes.size() < kLongPageHeader) return;
    LogIdentity identity{.layout = &layout,
                         .segment_size = kMinSegmentSize,
                         .system_id = std::nullopt,
                         .timeline = 0xFFFFFFFF};
    if (auto found = identify_segment(bytes)) {
        identity = *found;
        identity.timeline = 0xFFFFFFFF;
    }
    auto at = load<std::uint64_t>(bytes.data() + 8) & (kMaxPosition - 1);
    if (bytes.size() > kMaxPosition - at) return; // refused at once, in pieces only at the end
    CHECK(read_whole(identity, at, bytes) == read_pieces(identity, at, bytes, seed));
}

void fuzz_record(const Layout& layout, std::uint32_t seed, ByteView bytes)
{
    base::ByteWriter writer;
    writer.u32(static_cast<std::uint32_t>(kRecordHeader + bytes.size()));
    writer.u32(1);
    writer.u64(0);
    writer.u8(static_cast<std::uint8_t>(seed & kInfoMask));
    writer.u8(static_cast<std::uint8_t>(seed & 1));
    writer.u16(0);
    writer.u32(stream::crc32c(writer.bytes(), stream::crc32c(bytes)));
    writer.raw(bytes);
    Record record;
    if (parse_record(layout, writer.bytes(), record) != Fault::none) return;
    if (record.manager == kXlog) {
        decode_restore_point(record);
        decode_end_of_recovery(record);
        decode_checkpoint(record);
        if (auto change = decode_parameter_change(record)) CHECK(!change->text().empty());
    } else if (auto kind = xact_kind(record)) {
        auto prepare = decode_prepare(layout, record);
        CHECK(!prepare || prepare->gid.size() < 200);
        auto end = decode_xact_end(layout, *kind, record);
        CHECK(!end || end->gid.size() < 200);
    }
}

model::LogIndex index_of(const engine::DecoderStart& start, const TestLog& log, model::Offset to)
{
    IndexBuilder builder(start);
    builder.feed(start.feed_from, log.view(start.feed_from).first(to - start.feed_from));
    return builder.take();
}

/// Records: u8 manager, u8 info, u16 length, contents.
void fuzz_index(const Layout& layout, std::uint32_t seed, ByteView bytes)
{
    TestLog log({.major = layout.major});
    while (bytes.size() >= 4) {
        auto manager = load<std::uint8_t>(bytes.data());
        auto info = load<std::uint8_t>(bytes.data() + 1);
        auto length = load<std::uint16_t>(bytes.data() + 2);
        bytes = bytes.subspan(4);
        auto main = bytes.first(std::min<std::size_t>(length, bytes.size()));
        bytes = bytes.subspan(main.size());
        if (manager == kXlog && (info & kInfoMask) == 0x40) continue; // a switch has no contents
        log.add({.manager = manager, .info = info, .main = base::Bytes(main.begin(), main.end())});
    }
    engine::DecoderStart start;
    start.version_num = layout.major * 10000;
    start.log_segment_size = kMinSegmentSize;
    start.epoch = 1;
    start.range_from = start.feed_from = log.from();
    try {
        auto whole = index_of(start, log, log.position());
        auto cut = log.from() + std::size_t{seed} * 977 % (log.bytes().size() + 1);
        auto before = index_of(start, log, cut);
        start.range_from = cut;
        start.feed_from = before.unfinished.value_or(cut);
        start.at_record = true;
        auto after = index_of(start, log, log.position());
        CHECK(before.records + after.records == whole.records);
        CHECK(before.transactions.size() + after.transactions.size() == whole.transactions.size());
        CHECK(before.commits + after.commits == whole.commits);
    } catch (const base::Error&) {
        return; // malformed contents are refused by name
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size < 2 || size > (std::size_t{1} << 18)) return 0;
    const Layout& layout = layout_of_choice(data[0] / 3U);
    std::uint32_t seed = data[1];
    auto bytes = std::as_bytes(std::span(data, size)).subspan(2);
    switch (data[0] % 3) {
    case 0:
        fuzz_log(layout, seed, bytes);
        break;
    case 1:
        fuzz_record(layout, seed, bytes);
        break;
    default:
        fuzz_index(layout, seed, bytes);
    }
    return 0;
}
