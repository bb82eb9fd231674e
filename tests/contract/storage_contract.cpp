#include "storage_contract.h"

#include "base/error.h"
#include "base/random.h"
#include "base/task_group.h"
#include "store/probe.h"

#include <array>
#include <atomic>
#include <fmt/format.h>

namespace tidemark::store {

using base::as_bytes;
using base::Code;
using base::Error;

std::string StorageContract::text(std::string_view key, std::optional<Range> range)
{
    auto source = storage_.open(key, range);
    if (!source) return "(absent)";
    return std::string(base::as_text(base::read_all(*source, 64 << 20)));
}

Created StorageContract::put_text(std::string_view key, std::string_view text)
{
    return put(storage_, key, as_bytes(text));
}

std::string StorageContract::listed(std::string_view prefix)
{
    std::string out;
    for (const auto& object : storage_.list(prefix))
        out += (out.empty() ? "" : " ") + object.key;
    return out;
}

namespace {

base::Bytes pattern(std::size_t size, std::uint64_t seed)
{
    base::Bytes bytes(size);
    base::SeededRandom{seed}.fill(bytes);
    return bytes;
}

/// The code of the Error that `body` throws.
template <typename Body> Code code_of(Body&& body)
{
    try {
        body();
    } catch (const Error& error) {
        return error.code();
    }
    return Code::ok;
}

} // namespace

TEST_P(StorageContract, NothingIsThereAtFirst)
{
    EXPECT_EQ(listed(), "");
    EXPECT_EQ(listed("a/b"), "");
    EXPECT_EQ(text("a"), "(absent)");
    EXPECT_FALSE(storage_.stat("a/b"));
    EXPECT_FALSE(storage_.remove("a/b"));
    EXPECT_FALSE(get(storage_, "a", 10));
}

TEST_P(StorageContract, AnObjectIsInvisibleUntilCommit)
{
    auto writer = storage_.create("groups/G/marks/1");
    writer->write(as_bytes("half "));
    EXPECT_EQ(listed(), "");
    EXPECT_EQ(text("groups/G/marks/1"), "(absent)");
    EXPECT_FALSE(storage_.stat("groups/G/marks/1"));
    writer->write(as_bytes("whole"));
    EXPECT_EQ(writer->commit(), Created::yes);
    EXPECT_EQ(text("groups/G/marks/1"), "half whole");
    EXPECT_EQ(listed(), "groups/G/marks/1");
}

TEST_P(StorageContract, AbandonedWritersLeaveNothing)
{
    for (int i = 0; i < 3; ++i) {
        auto writer = storage_.create("a/b");
        writer->write(pattern(3 << 20, 1));
    }
    EXPECT_EQ(listed(), "");
    EXPECT_EQ(put_text("a/b", "later"), Created::yes);
    EXPECT_EQ(text("a/b"), "later");
}

TEST_P(StorageContract, AnObjectIsNeverOverwritten)
{
    EXPECT_EQ(put_text("k", "first"), Created::yes);
    EXPECT_EQ(put_text("k", "second"), Created::already_there);
    EXPECT_EQ(text("k"), "first");
    EXPECT_EQ(storage_.stat("k")->size, 5U);
}

TEST_P(StorageContract, TheFirstToCommitWinsNotTheFirstToCreate)
{
    auto early = storage_.create("k");
    auto late = storage_.create("k");
    early->write(as_bytes("early"));
    late->write(as_bytes("late"));
    EXPECT_EQ(late->commit(), Created::yes);
    EXPECT_EQ(early->commit(), Created::already_there);
    EXPECT_EQ(text("k"), "late");
}

TEST_P(StorageContract, OfRacingThreadsExactlyOneWins)
{
    for (int round = 0; round < 20; ++round) {
        std::string key = fmt::format("race/{}/lease", round);
        std::atomic<int> winners = 0;
        std::atomic<int> winner = -1;
        base::TaskGroup group;
        for (int i = 0; i < 8; ++i) {
            group.add([&, i](std::stop_token) {
                if (put_text(key, fmt::format("owner {}", i)) != Created::yes) return;
                ++winners;
                winner = i;
            });
        }
        group.wait();
        EXPECT_EQ(winners, 1);
        EXPECT_EQ(text(key), fmt::format("owner {}", winner.load()));
    }
}

TEST_P(StorageContract, RangesAreBytesOfTheWhole)
{
    put_text("k", "0123456789");
    EXPECT_EQ(text("k", Range{0, 4}), "0123");
    EXPECT_EQ(text("k", Range{3, 4}), "3456");
    EXPECT_EQ(text("k", Range{8, 100}), "89") << "may reach beyond the end";
    EXPECT_EQ(text("k", Range{3, UINT64_MAX}), "3456789");
    EXPECT_EQ(text("k", Range{10, 1}), "");
    EXPECT_EQ(text("k", Range{UINT64_MAX, 5}), "");
    EXPECT_EQ(text("k", Range{5, 0}), "");
    EXPECT_EQ(text("absent", Range{0, 1}), "(absent)");
}

TEST_P(StorageContract, ReadsAfterTheEndStayAtTheEnd)
{
    put_text("k", "abc");
    auto source = storage_.open("k");
    base::Bytes buffer(10);
    EXPECT_TRUE(base::read_exactly(*source, base::ByteSpan(buffer).first(3)));
    EXPECT_EQ(source->read(buffer), 0U);
    EXPECT_EQ(source->read(buffer), 0U);
}

TEST_P(StorageContract, ListsAreSortedByKeyAndCutByPrefix)
{
    for (const char* key : {"b/2", "a/x/1", "b/10", "a.b", "a-b", "a/x.y", "a/x-1", "ab"})
        put_text(key, key);
    // By bytes of the whole key: '-' and '.' come before '/'.
    EXPECT_EQ(listed(), "a-b a.b a/x-1 a/x.y a/x/1 ab b/10 b/2");
    EXPECT_EQ(listed("a/"), "a/x-1 a/x.y a/x/1");
    EXPECT_EQ(listed("a/x"), "a/x-1 a/x.y a/x/1");
    EXPECT_EQ(listed("a/x/"), "a/x/1");
    EXPECT_EQ(listed("a"), "a-b a.b a/x-1 a/x.y a/x/1 ab");
    EXPECT_EQ(listed("b/2"), "b/2");
    EXPECT_EQ(listed("b/3"), "");
    EXPECT_EQ(listed("c/"), "");
    EXPECT_EQ(listed("b/2/"), "");
}

TEST_P(StorageContract, FoldersAreWhatListsTell)
{
    using Names = std::vector<std::string>;
    EXPECT_EQ(storage_.folders(""), Names{});
    for (const char* key : {"m/b/2", "m/b/x/1", "m/a/x/1", "m/a-b/1", "m/file", "top", "n/o/p"})
        put_text(key, key);
    EXPECT_EQ(storage_.folders(""), (Names{"m", "n"}));
    EXPECT_EQ(storage_.folders("m/"), (Names{"a", "a-b", "b"}));
    EXPECT_EQ(storage_.folders("m/b/"), Names{"x"});
    EXPECT_EQ(storage_.folders("m/a/x/"), Names{});
    EXPECT_EQ(storage_.folders("none/"), Names{});
    storage_.remove("m/a/x/1"); // where a folder is left, it is none
    EXPECT_EQ(storage_.folders("m/"), (Names{"a-b", "b"}));
}

TEST_P(StorageContract, ListsTellSizeAndTime)
{
    auto before = storage_.now() - std::chrono::seconds{1};
    put_text("a/b", "12345");
    auto after = storage_.now() + std::chrono::seconds{1};
    auto objects = storage_.list("a/");
    ASSERT_EQ(objects.size(), 1U);
    EXPECT_EQ(objects[0].size, 5U);
    EXPECT_GE(objects[0].modified, before);
    EXPECT_LE(objects[0].modified, after);
    auto info = storage_.stat("a/b");
    ASSERT_TRUE(info);
    EXPECT_EQ(info->key, "a/b");
    EXPECT_EQ(info->size, 5U);
    EXPECT_EQ(info->modified, objects[0].modified);
}

TEST_P(StorageContract, RemovedIsGoneAndCanBeCreatedAgain)
{
    put_text("a/b", "one");
    put_text("a/c", "other");
    EXPECT_TRUE(storage_.remove("a/b"));
    EXPECT_FALSE(storage_.remove("a/b"));
    EXPECT_EQ(listed(), "a/c");
    EXPECT_EQ(text("a/b"), "(absent)");
    EXPECT_EQ(put_text("a/b", "two"), Created::yes);
    EXPECT_EQ(text("a/b"), "two");
}

TEST_P(StorageContract, RemovingWhatIsBeingReadIsNeverASilentEnd)
{
    put_text("k", "content");
    auto source = storage_.open("k");
    base::Bytes first(3);
    ASSERT_TRUE(base::read_exactly(*source, first));
    storage_.remove("k");
    try {
        EXPECT_EQ(base::as_text(base::read_all(*source, 100)), "tent");
    } catch (const Error& error) {
        EXPECT_NE(std::string_view(error.what()).find("removed"), std::string_view::npos);
    }
}

TEST_P(StorageContract, BadKeysAreRefusedEverywhere)
{
    std::string long_part(256, 'x');
    for (std::string_view key :
         {std::string_view{""}, std::string_view{"/a"}, std::string_view{"a/"},
          std::string_view{"a//b"}, std::string_view{"."}, std::string_view{".."},
          std::string_view{"a/../b"}, std::string_view{"a/./b"}, std::string_view{"a b"},
          std::string_view{"a\\b"}, std::string_view{"a\nb"}, std::string_view{"a~"},
          std::string_view{"\xc3\xa4"}, std::string_view{"a\0b", 3}, std::string_view{long_part}}) {
        EXPECT_EQ(code_of([&] { storage_.create(key); }), Code::usage) << key;
        EXPECT_EQ(code_of([&] { storage_.open(key); }), Code::usage) << key;
        EXPECT_EQ(code_of([&] { storage_.stat(key); }), Code::usage) << key;
        EXPECT_EQ(code_of([&] { storage_.remove(key); }), Code::usage) << key;
    }
    for (std::string_view prefix : {"/", "../", "a//", "~", "a/../"}) {
        EXPECT_EQ(code_of([&] { storage_.list(prefix); }), Code::usage) << prefix;
    }
    EXPECT_EQ(put_text("A-z_0.9=+@/.hidden/...", "ok"), Created::yes);
    EXPECT_EQ(listed("A-z_0.9=+@/."), "A-z_0.9=+@/.hidden/...");
}

TEST_P(StorageContract, ANameIsAnObjectOrAFolder)
{
    put_text("a/b", "object");
    EXPECT_EQ(code_of([&] { put_text("a", "x"); }), Code::usage);
    EXPECT_EQ(code_of([&] { put_text("a/b/c", "x"); }), Code::usage);
    EXPECT_EQ(text("a"), "(absent)");
    EXPECT_EQ(text("a/b/c"), "(absent)");
    EXPECT_FALSE(storage_.stat("a"));
    EXPECT_FALSE(storage_.remove("a"));
    EXPECT_EQ(listed(), "a/b");
}

TEST_P(StorageContract, EmptyObjects)
{
    EXPECT_EQ(put_text("empty", ""), Created::yes);
    EXPECT_EQ(storage_.create("untouched")->commit(), Created::yes);
    EXPECT_EQ(text("empty"), "");
    EXPECT_EQ(storage_.stat("untouched")->size, 0U);
    EXPECT_EQ(listed(), "empty untouched");
}

TEST_P(StorageContract, BigObjectsInPiecesOfEverySize)
{
    base::Bytes all = pattern(20 << 20, 7);
    base::SeededRandom random{8};
    auto writer = storage_.create("big");
    for (base::ByteView rest = all; !rest.empty();) {
        std::size_t most = random.below(2) == 0 ? 2000 : 3 << 20;
        std::size_t size = std::min<std::size_t>(rest.size(), random.below(most));
        writer->write(rest.first(size));
        rest = rest.subspan(size);
    }
    EXPECT_EQ(writer->commit(), Created::yes);
    EXPECT_EQ(storage_.stat("big")->size, all.size());
    EXPECT_TRUE(get(storage_, "big", all.size()) == all);
    EXPECT_THROW(get(storage_, "big", all.size() - 1), Error);
    auto middle = storage_.open("big", Range{12'345'678, 1000});
    EXPECT_EQ(base::to_hex(base::read_all(*middle, 1000)),
              base::to_hex(base::ByteView(all).subspan(12'345'678, 1000)));
}

TEST_P(StorageContract, ReadersAndWritersAtOnce)
{
    base::TaskGroup group;
    for (std::uint64_t i = 0; i < 4; ++i) {
        group.add([&, i](std::stop_token) {
            for (std::uint64_t n = 0; n < 25; ++n) {
                put(storage_, fmt::format("w{}/{:03}", i, n), pattern(5000, i * 1000 + n));
            }
        });
        group.add([&, i](std::stop_token) {
            std::size_t seen = 0;
            while (seen < 25) {
                auto objects = storage_.list(fmt::format("w{}/", i));
                ASSERT_GE(objects.size(), seen) << "a committed object vanished from the list";
                seen = objects.size();
                for (const auto& object : objects) {
                    auto n = static_cast<std::uint64_t>(std::stoi(object.key.substr(3)));
                    auto bytes = get(storage_, object.key, 5000);
                    ASSERT_TRUE(bytes && *bytes == pattern(5000, i * 1000 + n)) << object.key;
                }
            }
        });
    }
    group.wait();
    EXPECT_EQ(storage_.list("").size(), 100U);
}

TEST_P(StorageContract, ItsClockGoesForward)
{
    auto first = storage_.now();
    auto second = storage_.now();
    EXPECT_LE(first, second + std::chrono::milliseconds{20});
    EXPECT_LT(second - first, std::chrono::minutes{1});
}

TEST_P(StorageContract, PassesTheProbe)
{
    base::SystemRandom random;
    EXPECT_NO_THROW(probe(storage_, random));
    EXPECT_EQ(listed(), "");
    EXPECT_FALSE(storage_.traits().kind.empty());
}

} // namespace tidemark::store
