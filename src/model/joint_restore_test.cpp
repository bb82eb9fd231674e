#include "model/joint_restore.h"

#include "base/error.h"

#include <gtest/gtest.h>

namespace tidemark::model {
namespace {

using namespace std::chrono_literals;

const base::Time kNow = base::parse_time("2026-11-22T14:00:00Z").value();

JointReport report(const std::string& host, const std::string& ticket,
                   JointStage stage = JointStage::working)
{
    return {.stage = stage,
            .host = host,
            .folder = "/restore",
            .ticket = ticket,
            .program = "tidemark 0",
            .at = kNow};
}

Enlistment enlistment(Number mark, const std::string& member, const JointReport& line)
{
    return {.mark = mark, .all_members = {"a", "b"}, .reports = {{member, line}}};
}

std::string refusal(JointRestores book, const Enlistment& wanted)
{
    try {
        enlist(book, wanted);
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::usage);
        return error.message() + " | " + error.hint();
    }
    return {};
}

TEST(JointRestoreTest, TheSecondHostJoinsTheFirstOnesMark)
{
    JointRestores book{.group = "shop"};
    EXPECT_EQ(enlist(book, enlistment(7, "a", report("one", "t1"))), 1U);
    EXPECT_EQ(book.restores[0].missing(), (std::vector<std::string>{"a", "b"}));
    auto second = enlistment(7, "b", report("two", "t2"));
    second.newest = true;
    EXPECT_EQ(enlist(book, second), 1U);
    ASSERT_EQ(book.restores.size(), 1U);
    EXPECT_EQ(book.restores[0].host, "one");
    book.restores[0].reports["a"].stage = JointStage::at_mark;
    EXPECT_EQ(book.restores[0].missing(), std::vector<std::string>{"b"});
    book.restores[0].reports["b"].stage = JointStage::at_mark;
    EXPECT_TRUE(book.restores[0].missing().empty());
    EXPECT_FALSE(book.restores[0].all_opened());
}

TEST(JointRestoreTest, NewestDoesNotPassOverAnOpenRestoreSilently)
{
    JointRestores book{.group = "shop"};
    enlist(book, enlistment(7, "a", report("one", "t1")));
    auto second = enlistment(9, "b", report("two", "t2"));
    second.newest = true;
    auto said = refusal(book, second);
    for (const char* word : {"restore-1 to m-7", "one", "waits for a, b", "--to m-7", "--to m-9",
                             "--forget restore-1"})
        EXPECT_NE(said.find(word), std::string::npos) << word << " in: " << said;
    second.newest = false; // it was named
    EXPECT_EQ(enlist(book, second), 2U);
    // One that has ended is none.
    book.restores[0].ended = book.restores[1].ended = kNow;
    second.newest = true;
    EXPECT_EQ(enlist(book, second), 3U);
}

TEST(JointRestoreTest, ThereIsOneCopyOfEachMember)
{
    JointRestores book{.group = "shop"};
    enlist(book, enlistment(7, "a", report("one", "t1", JointStage::at_mark)));
    auto other = enlistment(7, "a", report("three", "t3"));
    auto said = refusal(book, other);
    for (const char* word : {"one", "/restore", "at_mark", "--instead", "--forget restore-1"})
        EXPECT_NE(said.find(word), std::string::npos) << word << " in: " << said;
    other.instead = true;
    EXPECT_EQ(enlist(book, other), 1U);
    EXPECT_EQ(book.restores[0].reports.at("a").ticket, "t3");
    // The same command once more, with what it left: nothing is taken back.
    book.restores[0].reports["a"].stage = JointStage::at_mark;
    auto again = enlistment(7, "a", report("three", "t3"));
    again.known["a"] = "t3";
    enlist(book, again);
    EXPECT_EQ(book.restores[0].reports.at("a").stage, JointStage::at_mark);
    // Its folder was emptied: the copy that was in the same place is gone.
    enlist(book, enlistment(7, "a", report("three", "t4")));
    EXPECT_EQ(book.restores[0].reports.at("a").ticket, "t4");
    EXPECT_EQ(book.restores[0].reports.at("a").stage, JointStage::working);
    // Its host has got another name: the ticket tells.
    auto renamed = enlistment(7, "a", report("four", "t4"));
    renamed.known["a"] = "t4";
    enlist(book, renamed);
    EXPECT_EQ(book.restores[0].reports.at("a").host, "four");
}

TEST(JointRestoreTest, NumbersAreNotUsedAgainAndTheBookStaysSmall)
{
    JointRestores book{.group = "shop"};
    for (Number i = 1; i <= 40; ++i) {
        EXPECT_EQ(enlist(book, enlistment(i, "a", report("one", std::to_string(i)))), i);
        if (i != 3) book.find(i)->ended = kNow;
        trim(book);
    }
    EXPECT_EQ(book.restores.size(), kEndedRestores + 1);
    EXPECT_NE(book.find(3), nullptr) << "one that is open stays";
    EXPECT_EQ(book.find(4), nullptr);
    EXPECT_NE(book.find(40), nullptr);
}

TEST(JointRestoreTest, OneTransactionHasOneVerdictOnAllHosts)
{
    JointRestore restore{.number = 1};
    JointDecision first{.member = "a", .gid = "g/a", .global_id = "g", .commit = true, .by = "one"};
    add_decisions(restore, {first});
    add_decisions(restore, {first});
    EXPECT_EQ(restore.decisions.size(), 1U);
    JointDecision second{
        .member = "b", .gid = "g/b", .global_id = "g", .commit = false, .by = "two"};
    EXPECT_THROW(add_decisions(restore, {second}), base::Error);
    second.commit = true;
    add_decisions(restore, {second});
    EXPECT_EQ(restore.decisions.size(), 2U);
    // Also of one file.
    JointRestore fresh{.number = 2};
    second.commit = false;
    EXPECT_THROW(add_decisions(fresh, {first, second}), base::Error);
}

} // namespace
} // namespace tidemark::model
