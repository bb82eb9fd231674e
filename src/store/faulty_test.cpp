#include "store/faulty.h"

#include "store/memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::store {
namespace {

using base::as_bytes;
using base::Code;
using base::Error;

class FaultyStorageTest : public testing::Test {
protected:
    std::string text(std::string_view key, std::optional<Range> range = {})
    {
        auto source = storage_.open(key, range);
        return source ? std::string(base::as_text(base::read_all(*source, 1000))) : "(absent)";
    }

    FaultyStorage storage_{std::make_shared<MemoryStorage>()};
    Error broken_{Code::repository_unreachable, "broken"};
};

TEST_F(FaultyStorageTest, TheNthCallFails)
{
    storage_.fail(Operation::commit, broken_, {.after = 1, .times = 2});
    EXPECT_NO_THROW(put(storage_, "a", as_bytes("1")));
    EXPECT_THROW(put(storage_, "b", as_bytes("1")), Error);
    EXPECT_THROW(put(storage_, "b", as_bytes("1")), Error);
    EXPECT_NO_THROW(put(storage_, "b", as_bytes("1")));
    EXPECT_EQ(storage_.calls(Operation::commit), 4U);
    EXPECT_THAT(storage_.trace(), testing::ElementsAre("commit a", "commit b"));
}

TEST_F(FaultyStorageTest, EveryCallCanBeTheOneThatFails)
{
    auto job = [&] {
        put(storage_, "a", as_bytes("1"));
        text("a");
        storage_.list("");
        storage_.remove("a");
    };
    std::size_t failures = 0;
    for (std::size_t n = 0;; ++n) {
        storage_.heal();
        storage_.remove("a");
        storage_.fail_any(broken_, {.after = n});
        try {
            job();
            break;
        } catch (const Error&) {
            ++failures;
        }
    }
    EXPECT_EQ(failures, 8U) << "create, write, commit, open, two reads, list, remove";
}

TEST_F(FaultyStorageTest, ReadOnly)
{
    put(storage_, "a", as_bytes("1"));
    storage_.set_read_only(true);
    EXPECT_THROW(storage_.create("b"), Error);
    EXPECT_THROW(storage_.remove("a"), Error);
    EXPECT_EQ(text("a"), "1");
    storage_.heal();
    EXPECT_TRUE(storage_.remove("a"));
}

TEST_F(FaultyStorageTest, OutOfSpaceAfterSoManyBytes)
{
    storage_.set_space(5);
    EXPECT_EQ(put(storage_, "a", as_bytes("123")), Created::yes);
    try {
        put(storage_, "b", as_bytes("123"));
        FAIL() << "written";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::out_of_space);
    }
    EXPECT_EQ(text("b"), "(absent)");
}

TEST_F(FaultyStorageTest, CorruptCutAndHiddenObjects)
{
    put(storage_, "a", as_bytes("0123456789"));
    storage_.corrupt("a", 4);
    EXPECT_EQ(text("a"), "0123556789");
    EXPECT_EQ(text("a", Range{3, 3}), "355") << "at the same place of the object";
    EXPECT_EQ(text("a", Range{5, 2}), "56");
    storage_.cut("a", 6);
    EXPECT_EQ(text("a"), "012355");
    EXPECT_EQ(text("a", Range{5, 3}), "5");
    EXPECT_EQ(text("a", Range{7, 3}), "");
    EXPECT_EQ(storage_.stat("a")->size, 6U);
    EXPECT_EQ(storage_.list("")[0].size, 6U);
    storage_.hide("a");
    EXPECT_EQ(text("a"), "(absent)");
    EXPECT_FALSE(storage_.stat("a"));
    EXPECT_TRUE(storage_.list("").empty());
    storage_.heal();
    EXPECT_EQ(text("a"), "0123456789");
}

TEST_F(FaultyStorageTest, HooksSeeTheKey)
{
    std::vector<std::string> seen;
    storage_.before(Operation::commit, [&](std::string_view key) { seen.emplace_back(key); });
    put(storage_, "x/y", as_bytes("1"));
    EXPECT_THAT(seen, testing::ElementsAre("x/y"));
}

} // namespace
} // namespace tidemark::store
