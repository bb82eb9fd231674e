#include "repo/pack.h"

#include "repo/container.h"
#include "repo/format_testing.h"
#include "store/memory.h"

#include <rapidcheck/gtest.h>

namespace tidemark::repo {
namespace {

using base::Bytes;
using base::ByteView;
using base::Code;
using base::Error;
using store::MemoryStorage;

PackOptions options(int level, std::uint64_t rotate_at = 1 << 30)
{
    return {.member = kTestMember,
            .backup = 7,
            .lease = 3,
            .compression = stream::compression_of_level(level),
            .rotate_at = rotate_at};
}

struct Written {
    std::vector<FrameRef> refs;
    std::vector<PackInfo> packs;
};

Written write(store::Storage& storage, const PackOptions& how, const std::vector<Bytes>& plains)
{
    PackNumbers numbers;
    PackWriter writer(storage, numbers, how);
    Written written;
    for (const Bytes& plain : plains)
        written.refs.push_back(writer.append(plain));
    written.packs = writer.finish();
    return written;
}

Bytes object(store::Storage& storage, std::string_view key)
{
    return store::get(storage, key, 1 << 26).value();
}

TEST(PackTest, FramesComeBack)
{
    for (int level : {0, 1, 3}) {
        MemoryStorage storage;
        std::vector<Bytes> plains = {test_bytes(100, 1), test_bytes(300'000, 2), Bytes(1),
                                     Bytes(70'000)};
        Written written = write(storage, options(level), plains);
        ASSERT_EQ(written.packs.size(), 1U);
        PackReader reader(storage, kTestMember);
        for (std::size_t i : {3UL, 0UL, 1UL, 2UL, 1UL}) {
            ByteView back = reader.read(written.refs[i]);
            EXPECT_TRUE(std::ranges::equal(back, plains[i])) << i;
        }
        std::vector<FrameRef> seen;
        PackInfo scanned =
            scan_pack(storage, kTestMember, written.packs[0].id,
                      {.unpack = true, .frame = [&](const FrameRef& ref) { seen.push_back(ref); }});
        EXPECT_EQ(scanned, written.packs[0]);
        EXPECT_EQ(seen, written.refs);
        EXPECT_EQ(scanned.length, object(storage, pack_key(kTestMember, scanned.id)).size());
        EXPECT_EQ(scanned.frames, 4U);
    }
}

TEST(PackTest, TheRootIsTheHashOfTheFramesHashes)
{
    MemoryStorage storage;
    Written written = write(storage, options(1), {test_bytes(1000, 1), test_bytes(1000, 2)});
    Bytes hashes;
    for (const FrameRef& ref : written.refs) {
        hashes.insert(hashes.end(), ref.sha16.begin(), ref.sha16.end());
    }
    EXPECT_EQ(written.packs[0].root, stream::sha256(hashes));
}

TEST(PackTest, PacksRotateAndShareNumbers)
{
    MemoryStorage storage;
    PackNumbers numbers;
    PackWriter one(storage, numbers, options(0, 1000));
    PackWriter two(storage, numbers, options(0, 1000));
    for (std::uint32_t i = 0; i < 4; ++i) {
        one.append(test_bytes(600, i));
        two.append(test_bytes(600, i));
    }
    auto first = one.finish();
    auto second = two.finish();
    ASSERT_EQ(first.size(), 2U);
    ASSERT_EQ(second.size(), 2U);
    std::vector<std::uint32_t> all;
    for (const auto& info : first)
        all.push_back(info.id.number);
    for (const auto& info : second)
        all.push_back(info.id.number);
    std::ranges::sort(all);
    EXPECT_EQ(all, (std::vector<std::uint32_t>{0, 1, 2, 3}));
    EXPECT_EQ(storage.list(packs_prefix(kTestMember)).size(), 4U);
}

TEST(PackTest, NothingAppendedIsNoPack)
{
    MemoryStorage storage;
    EXPECT_TRUE(write(storage, options(1), {}).packs.empty());
    EXPECT_TRUE(storage.list("").empty());
}

TEST(PackTest, NothingIsVisibleBeforeFinish)
{
    MemoryStorage storage;
    PackNumbers numbers;
    {
        PackWriter writer(storage, numbers, options(1));
        writer.append(test_bytes(100, 1));
        EXPECT_TRUE(storage.list("").empty());
    }
    EXPECT_TRUE(storage.list("").empty());
}

TEST(PackTest, APackThatIsThereIsNotOverwritten)
{
    MemoryStorage storage;
    write(storage, options(1), {test_bytes(100, 1)});
    EXPECT_THROW(write(storage, options(1), {test_bytes(100, 2)}), Error);
}

TEST(PackTest, EveryChangeIsFoundByAScan)
{
    for (int level : {0, 1}) {
        MemoryStorage storage;
        Written written = write(storage, options(level), {test_bytes(64, 1), test_bytes(90, 2)});
        std::string key = pack_key(kTestMember, written.packs[0].id);
        for (bool unpack : {false, true}) {
            expect_every_change_is_found(object(storage, key), [&](const Bytes& bytes) {
                MemoryStorage changed;
                store::put(changed, key, bytes);
                // What the manifest says is compared by the caller: the trailer's own count of the
                // rest suffices here.
                scan_pack(changed, kTestMember, written.packs[0].id, {.unpack = unpack});
            });
        }
    }
}

// rule 34
TEST(PackTest, EveryChangeOfAFrameIsFoundByReading)
{
    MemoryStorage storage;
    Written written = write(storage, options(1), {test_bytes(64, 1), test_bytes(90, 2)});
    std::string key = pack_key(kTestMember, written.packs[0].id);
    const FrameRef& ref = written.refs[1];
    Bytes bytes = object(storage, key);
    for (std::size_t at = ref.offset; at < ref.offset + kFrameHeaderSize + ref.stored_length;
         ++at) {
        for (unsigned bit = 0; bit < 8; ++bit) {
            Bytes changed = bytes;
            changed[at] ^= static_cast<std::byte>(1U << bit);
            MemoryStorage other;
            store::put(other, key, changed);
            EXPECT_THROW(PackReader(other, kTestMember).read(ref), Error) << at << " " << bit;
        }
    }
}

TEST(PackTest, ErrorsNamePackAndOffset)
{
    MemoryStorage storage;
    Written written = write(storage, options(1), {test_bytes(64, 1), test_bytes(64, 2)});
    PackReader reader(storage, kTestMember);
    FrameRef wrong = written.refs[1];
    wrong.xxh3 ^= 1;
    try {
        reader.read(wrong);
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::not_restorable);
        EXPECT_NE(error.message().find(pack_key(kTestMember, wrong.pack)), std::string::npos);
        EXPECT_NE(error.message().find(std::to_string(wrong.offset)), std::string::npos);
        EXPECT_FALSE(error.hint().empty());
    }
    wrong = written.refs[0];
    wrong.pack.number = 9;
    EXPECT_THROW(reader.read(wrong), Error);
    wrong = written.refs[0];
    wrong.offset += 1;
    EXPECT_THROW(reader.read(wrong), Error);
    wrong = written.refs[1];
    wrong.stored_length = ~0U;
    EXPECT_THROW(reader.read(wrong), Error);
}

TEST(PackTest, SwappedPacksAreFound)
{
    MemoryStorage storage;
    Written written = write(storage, options(0, 10), {test_bytes(64, 1), test_bytes(64, 2)});
    ASSERT_EQ(written.packs.size(), 2U);
    MemoryStorage other;
    store::put(other, pack_key(kTestMember, written.packs[0].id),
               object(storage, pack_key(kTestMember, written.packs[1].id)));
    EXPECT_THROW(scan_pack(other, kTestMember, written.packs[0].id, {}), Error);
}

TEST(PackTest, ACallersErrorIsNotDamage)
{
    MemoryStorage storage;
    Written written = write(storage, options(0), {test_bytes(64, 1)});
    auto fail = [](const FrameRef&) { throw Error{Code::failed, "the caller's own"}; };
    try {
        scan_pack(storage, kTestMember, written.packs[0].id, {.frame = fail});
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::failed);
        EXPECT_EQ(error.message(), "the caller's own");
    }
}

TEST(PackTest, AnUnknownMajorSaysWhatIsNeeded)
{
    MemoryStorage storage;
    Written written = write(storage, options(0), {test_bytes(64, 1)});
    std::string key = pack_key(kTestMember, written.packs[0].id);
    Bytes bytes = object(storage, key);
    bytes[16] = std::byte{2};
    MemoryStorage newer;
    store::put(newer, key, bytes);
    try {
        scan_pack(newer, kTestMember, written.packs[0].id, {});
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::repository_newer);
    }
}

RC_GTEST_PROP(PackProperty, AnyFramesComeBack, (const std::vector<std::string>& texts))
{
    MemoryStorage storage;
    std::vector<Bytes> plains;
    for (const std::string& text : texts) {
        if (!text.empty()) plains.push_back(base::to_bytes(text));
    }
    int level = *rc::gen::inRange(0, 4);
    auto rotate_at = *rc::gen::inRange<std::uint64_t>(1, 2000);
    Written written = write(storage, options(level, rotate_at), plains);
    PackReader reader(storage, kTestMember);
    for (std::size_t i = 0; i < plains.size(); ++i) {
        RC_ASSERT(std::ranges::equal(reader.read(written.refs[i]), plains[i]));
    }
    for (const PackInfo& info : written.packs) {
        RC_ASSERT(scan_pack(storage, kTestMember, info.id, {.unpack = true}) == info);
    }
}

TEST(VarintTest, EdgesComeBackAndOtherSpellingsAreRefused)
{
    for (std::uint64_t value :
         {0ULL, 1ULL, 127ULL, 128ULL, 16383ULL, 16384ULL, 1ULL << 62, ~0ULL}) {
        base::ByteWriter out;
        put_varint(out, value);
        put_zigzag(out, static_cast<std::int64_t>(value));
        put_delta(out, value, 77);
        base::ByteReader in(out.bytes(), "test");
        EXPECT_EQ(get_varint(in), value);
        EXPECT_EQ(get_zigzag(in), static_cast<std::int64_t>(value));
        EXPECT_EQ(get_delta(in, 77), value);
        EXPECT_EQ(in.remaining(), 0U);
    }
    for (const char* hex :
         {"8000", "ff8000", "ffffffffffffffffff02", "ffffffffffffffffffff01", "80"}) {
        Bytes bytes = base::from_hex(hex).value();
        base::ByteReader in(bytes, "test");
        EXPECT_THROW(get_varint(in), Error) << hex;
    }
}

} // namespace
} // namespace tidemark::repo
