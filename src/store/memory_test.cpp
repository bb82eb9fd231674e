#include "store/memory.h"

#include <gtest/gtest.h>

namespace tidemark::store {
namespace {

using base::as_bytes;

TEST(MemoryStorageTest, DatesObjectsByTheClockGiven)
{
    base::FakeClock clock{*base::parse_time("2026-01-01")};
    MemoryStorage storage{clock};
    put(storage, "a", as_bytes("1"));
    clock.advance(std::chrono::hours{1});
    put(storage, "b", as_bytes("1"));
    EXPECT_EQ(storage.stat("a")->modified, base::parse_time("2026-01-01 00:00"));
    EXPECT_EQ(storage.stat("b")->modified, base::parse_time("2026-01-01 01:00"));
    EXPECT_EQ(storage.now(), base::parse_time("2026-01-01 01:00"));
}

/// Two data objects, the commit object last, then the old one goes: a job in small.
void small_job(Storage& storage)
{
    put(storage, "data/1", as_bytes("one"));
    put(storage, "data/2", as_bytes("two"));
    put(storage, "commit", as_bytes("1 2"));
    storage.remove("old");
}

TEST(MemoryStorageTest, ACrashAtEveryStepLeavesOnlyWhatWasCommitted)
{
    std::size_t crashes = 0;
    for (auto step : {MemoryStorage::Step::lost, MemoryStorage::Step::applied}) {
        for (std::size_t k = 1;; ++k) {
            MemoryStorage storage;
            put(storage, "old", as_bytes("0"));
            storage.crash_at(k, step);
            try {
                small_job(storage);
                break;
            } catch (const CrashError&) {
                ++crashes;
            }
            EXPECT_TRUE(storage.crashed());
            EXPECT_THROW(storage.list(""), CrashError);
            EXPECT_THROW(storage.now(), base::Error);
            storage.reopen();
            bool complete = storage.stat("commit").has_value();
            if (complete) {
                EXPECT_TRUE(storage.stat("data/1") && storage.stat("data/2"));
            } else {
                EXPECT_TRUE(storage.stat("old"));
            }
            small_job(storage);
            EXPECT_EQ(storage.list("").size(), 3U);
        }
    }
    EXPECT_EQ(crashes, 2 * 7U) << "three writes, three commits, one removal, each in two ways";
}

TEST(MemoryStorageTest, TheCrashStepItselfMayOrMayNotHaveHappened)
{
    for (auto step : {MemoryStorage::Step::lost, MemoryStorage::Step::applied}) {
        MemoryStorage storage;
        auto writer = storage.create("k");
        writer->write(as_bytes("x"));
        storage.crash_at(1, step);
        EXPECT_THROW(writer->commit(), CrashError);
        storage.reopen();
        EXPECT_EQ(storage.stat("k").has_value(), step == MemoryStorage::Step::applied);
    }
}

TEST(MemoryStorageTest, AWriterOfBeforeTheCrashCanNeverCommit)
{
    MemoryStorage storage;
    auto writer = storage.create("k");
    writer->write(as_bytes("x"));
    storage.crash_at(1);
    EXPECT_THROW(storage.remove("other"), CrashError);
    storage.reopen();
    EXPECT_THROW(writer->write(as_bytes("y")), CrashError);
    EXPECT_THROW(writer->commit(), CrashError);
    EXPECT_TRUE(storage.list("").empty());
}

TEST(MemoryStorageTest, StepsAreCounted)
{
    MemoryStorage storage;
    small_job(storage);
    EXPECT_EQ(storage.steps(), 7U);
}

} // namespace
} // namespace tidemark::store
