#include "repo/sequence.h"

#include "base/error.h"
#include "repo/repo_testing.h"
#include "stream/checksum.h"

#include <gtest/gtest.h>
#include <thread>

namespace tidemark::repo {
namespace {

using base::Code;
using base::Error;
using testing::take;
using testing::TestStore;

base::Bytes encode(const CommitHeader& header, const std::string& who = "a")
{
    JsonBuilder out{{"thing", 1}};
    write_header(out, header);
    out.text("who", who);
    return out.bytes();
}

// rule 33
TEST(Sequence, EachObjectNamesTheOneBefore)
{
    TestStore t;
    Sequence sequence{t.storage, "groups/shop/things/"};
    auto lease = take(t.storage);
    auto first = sequence.append(lease.get(), [](const CommitHeader& h) { return encode(h); });
    auto second = sequence.append(lease.get(), [](const CommitHeader& h) { return encode(h); });
    EXPECT_EQ(first.header.number, 1U);
    EXPECT_FALSE(first.header.predecessor);
    EXPECT_EQ(second.header.predecessor, first.object);
    EXPECT_EQ(second.header.lease, lease->stamp());
    auto bytes = sequence.read(1).value();
    EXPECT_EQ(bytes.object.sha256, stream::sha256(bytes.bytes));
    auto document = JsonDocument::parse(sequence.read(2)->bytes, "x");
    EXPECT_EQ(read_header(document.root()), second.header);
    EXPECT_EQ(sequence.numbers(), (std::vector<model::Number>{1, 2}));
    EXPECT_FALSE(sequence.read(3));
}

TEST(Sequence, PassesOverForeignNames)
{
    TestStore t;
    for (const char* name : {"x/0000000003/manifest", "x/0000000004/pagemap", "x/note",
                             "x/00003/manifest", "x/0000000000/manifest", "x/000000001a/manifest"})
        store::put(t.storage, name, {});
    EXPECT_EQ((Sequence{t.storage, "x/", "/manifest"}.numbers()), (std::vector<model::Number>{3}));
}

TEST(Sequence, WritersOfOtherActivitiesTakeTurns)
{
    TestStore t;
    Sequence sequence{t.storage, "groups/shop/things/"};
    auto log = take(t.storage, "log");
    auto backup = take(t.storage, "backup/orders");
    bool raced = false;
    auto ours = sequence.append(log.get(), [&](const CommitHeader& h) {
        // Another writer is faster, once.
        if (!std::exchange(raced, true))
            sequence.append(backup.get(), [](const CommitHeader& o) { return encode(o, "b"); });
        return encode(h);
    });
    EXPECT_EQ(ours.header.number, 2U);
    EXPECT_EQ(ours.header.predecessor->sha256, sequence.read(1)->object.sha256);
}

// rule 32
TEST(Sequence, StaleOwnerCannotCommit)
{
    TestStore t;
    Sequence sequence{t.storage, "groups/shop/things/"};
    auto old = take(t.storage);
    t.clock.advance(std::chrono::minutes{2}); // paused beyond its lease
    auto fresh = take(t.storage);
    EXPECT_GT(fresh->number(), old->number());
    auto try_old = [&] {
        sequence.append(old.get(), [](const CommitHeader& h) { return encode(h); });
    };
    EXPECT_THROW(try_old(), Error);
    EXPECT_TRUE(old->lost());
    EXPECT_TRUE(sequence.numbers().empty());
    sequence.append(fresh.get(), [](const CommitHeader& h) { return encode(h); });
    EXPECT_THROW(try_old(), Error);
    EXPECT_EQ(sequence.numbers().size(), 1U);
}

TEST(Sequence, LosesToALaterOwnerEvenBetweenCheckAndWrite)
{
    TestStore t;
    Sequence sequence{t.storage, "groups/shop/things/"};
    auto old = take(t.storage);
    std::unique_ptr<Lease> fresh;
    try {
        sequence.append(old.get(), [&](const CommitHeader& h) {
            if (!fresh) {
                t.clock.advance(std::chrono::minutes{2});
                fresh = take(t.storage);
                sequence.append(fresh.get(), [](const CommitHeader& o) { return encode(o, "b"); });
            }
            return encode(h);
        });
        FAIL() << "committed under a lease that had passed";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::lease_held);
    }
    EXPECT_EQ(sequence.numbers().size(), 1U);
}

TEST(Sequence, GoesOnAfterADamagedObject)
{
    TestStore t;
    Sequence sequence{t.storage, "groups/shop/things/"};
    auto lease = take(t.storage);
    store::put(t.storage, sequence.key(1), base::as_bytes("{\"number\": 1, \"non"));
    auto next = sequence.append(lease.get(), [](const CommitHeader& h) { return encode(h); });
    EXPECT_EQ(next.header.number, 2U);
    EXPECT_EQ(next.header.predecessor, sequence.read(1)->object);
}

TEST(Sequence, ManyWritersLeaveOneChain)
{
    TestStore t;
    Sequence sequence{t.storage, "groups/shop/runs/"};
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            for (int k = 0; k < 10; ++k)
                sequence.append(nullptr, [&](const CommitHeader& h) { return encode(h); });
        });
    threads.clear();
    ASSERT_EQ(sequence.numbers().size(), 40U);
    for (model::Number n = 2; n <= 40; ++n) {
        auto document = JsonDocument::parse(sequence.read(n)->bytes, "x");
        EXPECT_EQ(read_header(document.root()).predecessor, sequence.read(n - 1)->object);
    }
}

TEST(Sequence, EveryCrashLeavesAChainThatGoesOn)
{
    for (auto step : {store::MemoryStorage::Step::lost, store::MemoryStorage::Step::applied}) {
        for (std::size_t k = 1;; ++k) {
            TestStore t;
            Sequence sequence{t.storage, "groups/shop/things/"};
            t.storage.crash_at(k, step);
            bool crashed = false;
            try {
                auto lease = take(t.storage);
                for (int i = 0; i < 3; ++i)
                    sequence.append(lease.get(), [](const CommitHeader& h) { return encode(h); });
            } catch (const store::CrashError&) {
                crashed = true;
            }
            t.storage.reopen();
            std::size_t had = sequence.numbers().size();
            t.clock.advance(std::chrono::minutes{2});
            auto lease = take(t.storage);
            sequence.append(lease.get(), [](const CommitHeader& h) { return encode(h); });
            ASSERT_EQ(sequence.numbers().size(), had + 1) << "crash at step " << k;
            if (!crashed) break;
            ASSERT_LT(k, 100U);
        }
    }
}

} // namespace
} // namespace tidemark::repo
