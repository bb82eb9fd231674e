#include "base/error.h"
#include "repo/format_testing.h"
#include "repo/frame_packer.h"
#include "repo/index_codec.h"
#include "repo/piece.h"
#include "store/memory.h"

#include <cstdlib>
#include <fstream>

namespace tidemark::repo {
namespace {

// Objects as format 1.0 writes them, kept in tests/golden/1.0 for ever: every later reader reads
// them. Those of level 0 must also come out of today's writer byte for byte; what zstd makes may
// differ from version to version. TIDEMARK_WRITE_GOLDEN=1 writes files that are missing.

using base::Bytes;

std::string golden_path(const std::string& name)
{
    return TIDEMARK_SOURCE_DIR "/tests/golden/1.0/" + name;
}

Bytes golden(const std::string& name, const Bytes& today)
{
    std::string path = golden_path(name);
    std::ifstream in(path, std::ios::binary);
    if (!in && std::getenv("TIDEMARK_WRITE_GOLDEN") != nullptr) {
        std::string_view text = base::as_text(today);
        std::ofstream(path, std::ios::binary)
            .write(text.data(), static_cast<std::streamsize>(text.size()));
        return today;
    }
    EXPECT_TRUE(in) << path << " is missing";
    std::string text((std::istreambuf_iterator<char>(in)), {});
    return base::to_bytes(text);
}

std::string text_of_pages()
{
    std::string text;
    for (int i = 0; i < 60; ++i)
        text += "tide " + std::to_string(i * i) + "\n";
    return text;
}

struct Backup {
    store::MemoryStorage storage;
    std::vector<PackInfo> packs;
    PageMapInfo page_map;
};

/// Two files, a directory and a tablespace link; the bigger file has a zero page.
void write_backup(Backup& backup, int level)
{
    PackNumbers numbers;
    PageMapWriter map(backup.storage, kTestMember, 1, 2);
    PackingCounters counters;
    PackWriter packs(backup.storage, numbers,
                     {.member = kTestMember,
                      .backup = 1,
                      .lease = 2,
                      .compression = stream::compression_of_level(level)});
    FramePacker packer(std::move(packs), map, counters, {.frame_size = 8192});
    base::Time when{base::Duration{1'763'821'867'123'456}};
    Bytes small = base::to_bytes("15\n");
    Bytes big(8192 + 600);
    std::ranges::copy(base::as_bytes(text_of_pages()).first(400), big.begin() + 8192);
    map.add_file({0, model::FileKind::directory, "base", "", 0700, when, 0});
    map.add_file({1, model::FileKind::regular, "PG_VERSION", "", 0600, when, small.size()});
    packer.add(1, 0, small);
    packer.add(2, 0, big);
    map.add_file({2, model::FileKind::regular, "base/5", "", 0600, when, big.size()});
    map.add_file(
        {3, model::FileKind::tablespace_link, "pg_tblspc/16471", "/srv/space", 0777, when, 0});
    backup.packs = packer.finish();
    backup.page_map = map.finish();
}

struct Collect final : PageMapVisitor {
    explicit Collect(store::Storage& storage) : reader(storage, kTestMember) {}
    void file(const model::FileEntry& entry) override { files.push_back(entry); }
    void frame(const FrameRef& ref, std::span<const Extent> extents) override
    {
        base::ByteView plain = reader.read(ref);
        for (const Extent& e : extents) {
            content[e.file] += base::as_text(plain.subspan(e.plain_offset, e.length));
        }
    }
    PackReader reader;
    std::vector<model::FileEntry> files;
    std::map<std::uint32_t, std::string> content;
};

void check_backup(const std::string& suffix, int level, bool byte_for_byte)
{
    Backup today;
    write_backup(today, level);
    ASSERT_EQ(today.packs.size(), 1U);
    std::string pack = pack_key(kTestMember, {.backup = 1, .lease = 2, .number = 0});
    std::string map = page_map_key(kTestMember, 1, 2);
    Bytes pack_bytes = store::get(today.storage, pack, 1 << 20).value();
    Bytes map_bytes = store::get(today.storage, map, 1 << 20).value();
    store::MemoryStorage stored;
    store::put(stored, pack, golden("pack-" + suffix, pack_bytes));
    store::put(stored, map, golden("pagemap-" + suffix, map_bytes));
    Collect seen(stored);
    EXPECT_EQ(read_page_map(stored, kTestMember, 1, 2, seen, {}).totals, today.page_map.totals);
    ASSERT_EQ(seen.files.size(), 4U);
    EXPECT_EQ(seen.files[1].path, "PG_VERSION");
    EXPECT_EQ(seen.files[3].link_target, "/srv/space");
    EXPECT_EQ(seen.content[1], "15\n");
    EXPECT_EQ(seen.content[2].substr(0, 400), text_of_pages().substr(0, 400));
    EXPECT_EQ(scan_pack(stored, kTestMember, {1, 2, 0}, {.unpack = true}).frames, 1U);
    if (!byte_for_byte) return;
    EXPECT_EQ(store::get(stored, pack, 1 << 20), pack_bytes);
    EXPECT_EQ(store::get(stored, map, 1 << 20), map_bytes);
}

TEST(GoldenTest, PlainBackup)
{
    check_backup("plain", 0, true);
}
TEST(GoldenTest, CompressedBackup)
{
    check_backup("zstd", 3, false);
}

/// The bytes of the worked example that docs/repository-format-binary.md calls `name`.
Bytes documented(const std::string& name)
{
    std::ifstream in(TIDEMARK_SOURCE_DIR "/docs/repository-format-binary.md");
    std::string line;
    while (std::getline(in, line) && line != "```hex " + name) {
    }
    std::string hex;
    while (std::getline(in, line) && line != "```") {
        for (char c : line.substr(6, 47)) {
            if (c != ' ') hex += c;
        }
    }
    return base::from_hex(hex).value_or(Bytes{});
}

TEST(DocumentedTest, ThePackAndThePageMap)
{
    store::MemoryStorage storage;
    PackNumbers numbers;
    PageMapWriter map(storage, kTestMember, 1, 2);
    PackingCounters counters;
    PackWriter packs(storage, numbers,
                     {.member = kTestMember,
                      .backup = 1,
                      .lease = 2,
                      .compression = stream::compression_of_level(0)});
    FramePacker packer(std::move(packs), map, counters, {});
    map.add_file({0, model::FileKind::regular, "PG_VERSION", "", 0600,
                  base::Time{base::Duration{1'000'000}}, 3});
    packer.add(0, 0, base::as_bytes("15\n"));
    packer.finish();
    map.finish();
    EXPECT_EQ(store::get(storage, pack_key(kTestMember, {1, 2, 0}), 1 << 20), documented("pack"));
    EXPECT_EQ(store::get(storage, page_map_key(kTestMember, 1, 2), 1 << 20), documented("pagemap"));
}

TEST(DocumentedTest, ThePiece)
{
    PieceBuilder builder({.engine = EngineTag::postgresql,
                          .system_id = 1,
                          .segment_size = 16 << 20,
                          .version_num = 150'018,
                          .range = {.epoch = 1, .from = 0x3000000, .to = 0}},
                         {.level = 0, .limit = kPieceLimit});
    EXPECT_EQ(builder.append(base::as_bytes("tide")), 4U);
    EXPECT_EQ(builder.finish().bytes, documented("piece"));
}

BuiltPiece piece_of_level(int level)
{
    PieceBuilder builder({.engine = EngineTag::postgresql,
                          .system_id = 7'300'000'000'000'000'001,
                          .segment_size = 16 << 20,
                          .version_num = 150'018,
                          .range = {.epoch = 1, .from = 0x3000000, .to = 0}},
                         {.level = level, .limit = kPieceLimit});
    EXPECT_GT(builder.append(base::as_bytes(text_of_pages())), 0U);
    return builder.finish();
}

TEST(GoldenTest, Pieces)
{
    for (int level : {0, 3}) {
        BuiltPiece today = piece_of_level(level);
        Bytes bytes = golden(level == 0 ? "piece-plain" : "piece-zstd", today.bytes);
        ParsedPiece parsed = parse_piece(bytes, 1 << 20);
        EXPECT_EQ(base::as_text(parsed.log), text_of_pages());
        EXPECT_EQ(parsed.info, today.info);
        EXPECT_TRUE(level != 0 || bytes == today.bytes);
    }
}

TEST(GoldenTest, Index)
{
    StoredIndex stored;
    stored.piece_sha256 = piece_of_level(0).sha256;
    stored.piece_size = piece_of_level(0).bytes.size();
    stored.piece_key = piece_key(kTestMember, {{1, 0x3000000, 0x30001D0}, 2});
    base::Time when{base::Duration{1'763'821'867'123'456}};
    model::LogIndex& index = stored.index;
    index.range = {1, 0x3000000, 0x30001D0};
    index.first_record = 0x3000028;
    index.last_record_end = 0x3000180;
    index.unfinished = 0x3000180;
    index.transactions = {
        {model::EventKind::prepare, 1, 0x3000028, 0x3000080, 770, "order-123", when, 5, 10},
        {model::EventKind::commit, 1, 0x3000080, 0x3000100, 770, "order-123", when, 0, 0}};
    index.restore_points = {{1, 0x3000100, 0x3000180, when, "m-1"}};
    index.times = {{0x3000080, when}};
    index.notices = {{model::LogNoticeKind::parameter_change, 0x3000100, "max_connections=100"}};
    index.records = 3;
    index.commits = 1;
    Bytes today = encode_index(stored);
    Bytes bytes = golden("index", today);
    EXPECT_EQ(decode_index(bytes), stored);
    EXPECT_EQ(bytes, today);
}

} // namespace
} // namespace tidemark::repo
