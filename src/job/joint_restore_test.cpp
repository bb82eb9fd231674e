// A group restored on two hosts, over servers in memory: they meet in the repository alone.

#include "job/joint_restore.h"

#include "base/error.h"
#include "base/temp_dir.h"
#include "job/drill.h"
#include "job/joint_copies.h"
#include "job/mark.h"
#include "job/world_testing.h"
#include "repo/restore_book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::job {
namespace {

namespace fs = std::filesystem;
using base::Code;
using base::Error;
using testing::HasSubstr;

class JointTest : public ::testing::Test {
protected:
    JointTest()
    {
        world_.let_restores_read();
        world_.work();
        mark_ = place_mark(world_.context(), {}).mark.number();
    }

    repo::RestorePlan plan(std::vector<std::string> members = {})
    {
        return repo::need_plan(
            repo::plan_restore(world_.view(), mark_, {.members = std::move(members)}));
    }
    Context on(const std::string& host)
    {
        auto context = world_.context();
        context.host = host;
        return context;
    }
    RestoreOptions place(const std::string& host)
    {
        RestoreOptions options;
        options.dir = dir_.path() / host;
        return options;
    }
    JointOutcome bring(const std::string& host, const std::string& member, JointOptions how = {})
    {
        how.program = "test";
        return restore_to_mark(on(host), plan({member}), place(host), how);
    }
    JointOutcome open(const std::string& host, const std::string& member)
    {
        return open_members(on(host), plan({member}), place(host), {.program = "test"});
    }
    static std::string refusal(Code code, const std::function<void()>& body)
    {
        try {
            body();
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), code) << error.what();
            return std::string(error.what()) + " | " + error.hint();
        }
        ADD_FAILURE() << "nothing was refused";
        return {};
    }
    repo::RestoreBook book() { return {world_.storage(), "shop"}; }

    base::TempDir dir_;
    World world_;
    model::Number mark_ = 0;
};

TEST_F(JointTest, OpensWhenAllAreThereAndProvesTheMark)
{
    auto first = bring("one", "a");
    EXPECT_EQ(first.restore.missing(), std::vector<std::string>{"b"});
    EXPECT_THAT(refusal(Code::member_not_ready, [&] { open("one", "a"); }),
                testing::AllOf(HasSubstr("b was not begun anywhere"), HasSubstr("--only b")));
    auto second = bring("two", "b");
    EXPECT_TRUE(second.restore.missing().empty());
    EXPECT_EQ(second.restore.number, first.restore.number);
    auto opened = open("two", "b");
    EXPECT_FALSE(opened.is_last);
    auto last = open("one", "a");
    ASSERT_TRUE(last.is_last);
    EXPECT_FALSE(last.restore.is_open());
    auto whole = joint_report(last.restore, *plan().mark, last.report);
    EXPECT_EQ(whole.members.size(), 2U);
    EXPECT_EQ(record_restore(on("one"), plan(), whole), 1U);
    // And the next restore to it is another one.
    EXPECT_EQ(bring("three", "a").restore.number, first.restore.number + 1);
}

TEST_F(JointTest, CopiesAreFoundBehindLinks)
{
    bring("one", "a");
    fs::create_directory_symlink("one", dir_.path() / "link");
    EXPECT_EQ(joint_members(place("link"), {}).size(), 1U);
    EXPECT_EQ(joint_members(place("one"), {"b"}).size(), 0U);
    RestoreOptions mapped;
    mapped.map["a"] = dir_.path() / "link/../one/a";
    EXPECT_EQ(joint_members(mapped, {}).size(), 1U);
    mapped.map = {{"b", dir_.path() / "one/a"}};
    EXPECT_EQ(joint_members(mapped, {}).size(), 0U) << "a's copy is not b's";
}

TEST_F(JointTest, TheSameAgainGoesOn)
{
    auto first = bring("one", "a");
    auto ticket = first.restore.reports.at("a").ticket;
    auto again = bring("one", "a");
    EXPECT_EQ(again.restore.reports.at("a").ticket, ticket);
    EXPECT_EQ(again.restore.reports.at("a").stage, model::JointStage::at_mark);
    // Its folder is gone: it is made anew, and the old ticket is worth nothing.
    fs::remove_all(dir_.path() / "one");
    EXPECT_NE(bring("one", "a").restore.reports.at("a").ticket, ticket);
}

TEST_F(JointTest, AnotherCopyTakesOverOnlyWhenToldTo)
{
    bring("one", "a");
    bring("two", "b");
    EXPECT_THAT(refusal(Code::usage, [&] { bring("three", "b"); }), HasSubstr("--instead"));
    bring("three", "b", {.instead = true, .program = {}});
    EXPECT_THAT(refusal(Code::usage, [&] { open("two", "b"); }), HasSubstr("does not count"));
    open("three", "b");
    EXPECT_TRUE(open("one", "a").is_last);
}

TEST_F(JointTest, AFailureIsReportedAndMended)
{
    bring("one", "a");
    world_.engine().restored().fail("b", "recover", Error{Code::failed, "no log today"});
    EXPECT_THROW(bring("two", "b"), Error);
    auto report = book().open().at(0).reports.at("b");
    EXPECT_EQ(report.stage, model::JointStage::failed);
    EXPECT_THAT(report.text, HasSubstr("no log today"));
    EXPECT_THAT(refusal(Code::member_not_ready, [&] { open("one", "a"); }),
                HasSubstr("no log today"));
    bring("two", "b");
    open("one", "a");
    EXPECT_TRUE(open("two", "b").is_last);
}

TEST_F(JointTest, WithdrawnCopiesAreMissingAgain)
{
    bring("one", "a");
    bring("two", "b");
    auto here = joint_members(place("two"), {});
    ASSERT_EQ(here.size(), 1U);
    withdraw_members(on("two"), here);
    EXPECT_THROW(open("one", "a"), Error);
    withdraw_members(on("one"), joint_members(place("one"), {}));
    EXPECT_TRUE(book().open().empty());
    EXPECT_TRUE(book().load().restores.at(0).given_up);
    EXPECT_THAT(refusal(Code::usage, [&] { open("one", "a"); }), HasSubstr("was given up"));
}

TEST_F(JointTest, ARestoreOfItsOwnDoesNotMixWithOneOverSeveralHosts)
{
    bring("one", "a");
    EXPECT_THAT(refusal(Code::target_not_empty,
                        [&] { restore_group(on("one"), plan({"a"}), place("one")); }),
                HasSubstr("--open"));
}

/// Handed over, and killed before it could say so.
TEST_F(JointTest, WhatWasHandedOverIsConfirmedLater)
{
    bring("one", "a");
    bring("two", "b");
    open("one", "a");
    book().change([](model::JointRestores& all) {
        all.restores.at(0).reports.at("a").stage = model::JointStage::at_mark;
    });
    auto here = joint_members(place("one"), {});
    EXPECT_EQ(confirm_opened(on("one"), here).reports.at("a").stage, model::JointStage::opened);
    EXPECT_TRUE(open("two", "b").is_last);
}

/// Opened with something kept prepared; the operator's word comes later, on another host first.
TEST_F(JointTest, WhatWasKeptIsSettledOnceItIsDecided)
{
    bring("one", "a");
    bring("two", "b");
    auto keeping = place("two");
    keeping.settle = false;
    auto kept = open_members(on("two"), plan({"b"}), keeping, {.program = "test"});
    ASSERT_TRUE(kept.report.unsettled);
    auto last = open("one", "a");
    ASSERT_TRUE(last.is_last);
    EXPECT_TRUE(joint_report(last.restore, *plan().mark, last.report).unsettled);

    auto here = joint_members(place("two"), {});
    auto options = place("two");
    const auto decisions = here.at("b").decisions;
    ASSERT_FALSE(decisions.empty());
    EXPECT_EQ(kept_here(here, options, last.restore).kept, decisions.size());
    EXPECT_EQ(kept_here(here, options, last.restore).decided, 0U);
    for (const auto& one : decisions)
        options.decisions[{"b", one.gid}] = true;
    EXPECT_EQ(kept_here(here, options, last.restore).decided, decisions.size());
    auto settled = open_members(on("two"), plan({"b"}), options, {.program = "test"});
    EXPECT_FALSE(settled.report.unsettled);
    EXPECT_TRUE(settled.is_last);
    EXPECT_FALSE(settled.restore.is_open());
    EXPECT_EQ(settled.restore.ended, last.restore.ended);
    auto server = world_.engine().restored().at(dir_.path() / "two/b/data");
    for (const auto& one : decisions)
        EXPECT_TRUE(server.settled.at(one.gid));
    EXPECT_EQ(server.phase, engine::fake::RestoredServer::Phase::handed_over);
    auto whole = joint_report(settled.restore, *plan().mark, settled.report);
    EXPECT_FALSE(whole.unsettled);
    EXPECT_TRUE(record_restore(on("two"), plan(), whole).has_value());
    // The word counts for every host that comes later.
    EXPECT_EQ(settled.restore.decisions.size(), decisions.size());
}

/// Opened by one host, and asked by the other for its part again: nothing that is open is touched.
TEST_F(JointTest, OnlyLeavesAloneWhatIsOpen)
{
    bring("one", "a");
    bring("two", "b");
    open("one", "a");
    EXPECT_THAT(refusal(Code::target_not_empty, [&] { bring("one", "a"); }),
                HasSubstr("handed over already"));
    EXPECT_TRUE(open("two", "b").is_last);
}

} // namespace
} // namespace tidemark::job
