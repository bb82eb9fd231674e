#include "job/log_feeder.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/temp_dir.h"
#include "repo/layout.h"
#include "repo/little_group.h"

#include <chrono>
#include <filesystem>
#include <fmt/format.h>
#include <future>
#include <gtest/gtest.h>
#include <memory>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <vector>

namespace tidemark::job {
namespace {

namespace fs = std::filesystem;
using repo::testing::LittleGroup;

/// More than anything here takes, and less than a test may.
constexpr std::chrono::seconds kSoon{30};
constexpr model::Offset kFedSegment = repo::testing::kSegment;

/// A folder for the feeder, and what PostgreSQL would get.
class LogFeederTest : public testing::Test {
protected:
    void SetUp() override { base::log_setup({.level = base::LogLevel::off}); }

    repo::MemberPlan plan(model::Number mark)
    {
        return need_plan(repo::plan_restore(repo::load_view(t_.storage, "shop"), mark))
            .members.at("orders");
    }
    LogFeeder::Options options() const
    {
        return {
            .folder = dir_.path() / "work", .owner = {}, .segment_size = repo::testing::kSegment};
    }
    static std::string name(model::Epoch epoch, std::uint64_t segment)
    {
        return fmt::format("{:08X}{:08X}{:08X}", epoch, segment / 4096, segment % 4096);
    }
    int fetch(const std::string& file) const
    {
        return fetch_log(dir_.path() / "work", file, dir_.path() / "got");
    }
    base::Bytes got() const { return base::read_file(dir_.path() / "got", 2 * kFedSegment); }
    /// Somebody who has connected and says nothing.
    base::Fd mute() const
    {
        base::Fd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address = {};
        address.sun_family = AF_UNIX;
        auto path = (dir_.path() / "work/log.sock").string();
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        EXPECT_EQ(
            ::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0)
            << path;
        return client;
    }

    repo::testing::TestStore t_;
    LittleGroup group_{t_.storage, t_.clock};
    base::TempDir dir_;
};

// rule 28
TEST_F(LogFeederTest, OneIsForNamesOutsideThePlanAndTwoHundredForWhatCannotBeDelivered)
{
    auto mark = group_.full();
    auto goal = plan(mark);
    auto segment = goal.log_from.offset / kFedSegment;
    auto beyond = goal.log_to.offset / kFedSegment + 1;
    group_.grow("orders", 3 * kFedSegment); // stored, but behind the mark: no business of this plan
    {
        LogFeeder feeder(t_.storage, goal, options());
        for (const auto& outside : {name(1, beyond), name(1, beyond + 9), name(2, segment),
                                    std::string("00000002.history"), name(1, segment) + ".partial",
                                    std::string("../../etc/passwd"), std::string("x")})
            EXPECT_EQ(fetch(outside), 1) << outside;
        EXPECT_FALSE(fs::exists(dir_.path() / "got"));
        ASSERT_EQ(fetch(name(1, segment)), 0);
        auto bytes = got();
        ASSERT_EQ(bytes.size(), kFedSegment);
        for (model::Offset at = goal.log_from.offset; at < goal.log_to.offset; ++at)
            ASSERT_EQ(bytes[at - segment * kFedSegment], repo::testing::log_byte(at)) << at;
        struct stat info = {};
        ASSERT_EQ(::stat((dir_.path() / "got").c_str(), &info), 0);
        EXPECT_LT(static_cast<std::uint64_t>(info.st_blocks) * 512, kFedSegment)
            << "written part by part, not from one buffer as long as a segment";
        for (model::Offset at = goal.log_to.offset; at < (segment + 1) * kFedSegment; ++at)
            ASSERT_EQ(bytes[at - segment * kFedSegment], std::byte{0})
                << "past the end of the plan";
        EXPECT_FALSE(feeder.failure());
    }
    for (const auto& piece : goal.pieces)
        t_.storage.remove(piece.piece.key);
    {
        LogFeeder feeder(t_.storage, goal, options());
        EXPECT_EQ(fetch(name(1, segment)), 200);
        EXPECT_TRUE(feeder.failure());
    }
    EXPECT_EQ(fetch(name(1, segment)), 200) << "nobody serves it";
}

// rule 29
TEST_F(LogFeederTest, WhatReplayMustNotSeeIsReplaced)
{
    group_.full();
    group_.grow("orders", 3 * kFedSegment);
    auto mark = group_.log();
    auto goal = plan(mark);
    auto segment = goal.log_from.offset / kFedSegment + 1;
    auto border = (segment + 1) * kFedSegment;
    ASSERT_LT(border + 2, goal.log_to.offset);
    auto replaced = options();
    replaced.patches = {{border - 3, base::Bytes(5, std::byte{0xEE})},
                        {goal.log_to.offset, base::Bytes(2, std::byte{0xDD})}};
    LogFeeder feeder(t_.storage, goal, replaced);
    for (auto number : {segment, segment + 1}) {
        ASSERT_EQ(fetch(name(1, number)), 0);
        auto bytes = got();
        for (model::Offset at = number * kFedSegment;
             at < std::min<model::Offset>((number + 1) * kFedSegment, goal.log_to.offset); ++at)
            ASSERT_EQ(bytes[at - number * kFedSegment], at >= border - 3 && at < border + 2
                                                            ? std::byte{0xEE}
                                                            : repo::testing::log_byte(at))
                << at;
    }
}

// rule 13, 24, 28
TEST_F(LogFeederTest, HistoryFilesOfThePlanAreServedAndTakenNumbersLookTaken)
{
    group_.full();
    group_.fail_over("orders");
    auto mark = group_.log();
    auto goal = plan(mark);
    auto segment = (goal.history.ancestors().at(0).left_at - 1) / kFedSegment;
    LogFeeder feeder(t_.storage, goal, options());
    ASSERT_EQ(fetch("00000002.history"), 0);
    EXPECT_EQ(model::parse_history(2, base::as_text(got())), goal.history);
    EXPECT_EQ(fetch(name(2, segment)), 0);
    EXPECT_EQ(fetch(name(1, segment)), 0) << "the parent's, up to where it was left";
    EXPECT_EQ(fetch("00000003.history"), 1);
    feeder.reserve_below(5);
    EXPECT_EQ(fetch("00000003.history"), 0);
    EXPECT_EQ(fetch("00000004.history"), 0);
    EXPECT_EQ(fetch("00000005.history"), 1) << "the number that was claimed";
    EXPECT_EQ(fetch("00000001.history"), 1) << "the first timeline has none";
    EXPECT_FALSE(feeder.failure());
    t_.storage.remove(repo::history_key({"shop", "orders"}, 2));
    EXPECT_EQ(fetch("00000002.history"), 200) << "the plan's own, though it cannot be delivered";
    EXPECT_EQ(feeder.failure_code(), base::Code::not_restorable);
}

// rule 28
TEST_F(LogFeederTest, AnAncestorsHistoryFileOfThePlanIsNotAbsentWhenItIsGone)
{
    group_.full();
    group_.fail_over("orders");
    group_.log();
    group_.fail_over("orders");
    auto mark = group_.log();
    auto goal = plan(mark);
    ASSERT_EQ(goal.history.current(), 3U);
    {
        LogFeeder feeder(t_.storage, goal, options());
        EXPECT_EQ(fetch("00000002.history"), 0);
        t_.storage.remove(repo::history_key({"shop", "orders"}, 2));
        EXPECT_EQ(fetch("00000002.history"), 200);
        EXPECT_EQ(feeder.failure_code(), base::Code::not_restorable);
        EXPECT_EQ(fetch("00000001.history"), 1);
    }
    // As where the first log that was stored is a later timeline's.
    goal = plan(mark);
    LogFeeder feeder(t_.storage, goal, options());
    EXPECT_EQ(fetch("00000002.history"), 1) << "no plan counts on it";
}

// rule 29
TEST_F(LogFeederTest, WhoSaysNothingKeepsNobodyWaiting)
{
    auto goal = plan(group_.full());
    auto patient = options();
    patient.patience = std::chrono::hours{1};
    LogFeeder feeder(t_.storage, goal, patient);
    auto silent = mute();
    auto halting = mute();
    ASSERT_EQ(::send(halting.get(), "0000", 4, MSG_NOSIGNAL), 4);
    auto served = std::async(std::launch::async,
                             [&] { return fetch(name(1, goal.log_from.offset / kFedSegment)); });
    EXPECT_EQ(served.wait_for(kSoon), std::future_status::ready);
    silent.reset(); // a feeder that waited for them would go on now
    halting.reset();
    EXPECT_EQ(served.get(), 0);
}

// rule 29
TEST_F(LogFeederTest, ACrowdThatSaysNothingIsPushedOut)
{
    auto goal = plan(group_.full());
    auto patient = options();
    patient.patience = std::chrono::hours{1};
    LogFeeder feeder(t_.storage, goal, patient);
    std::vector<base::Fd> crowd;
    for (int i = 0; i < 20; ++i) {
        crowd.push_back(mute());
        if (i % 2 == 0) {
            ASSERT_EQ(::send(crowd.back().get(), "0", 1, MSG_NOSIGNAL), 1);
        }
    }
    auto served = std::async(std::launch::async,
                             [&] { return fetch(name(1, goal.log_from.offset / kFedSegment)); });
    EXPECT_EQ(served.wait_for(kSoon), std::future_status::ready);
    crowd.clear(); // a feeder that waited for them would go on now
    EXPECT_EQ(served.get(), 0);
}

TEST_F(LogFeederTest, WhoSaysNothingDoesNotKeepTheRestoreFromEnding)
{
    auto goal = plan(group_.full());
    auto patient = options();
    patient.patience = std::chrono::hours{1};
    auto feeder = std::make_unique<LogFeeder>(t_.storage, goal, patient);
    auto silent = mute();
    // Served behind the silent one, so that one is being waited for.
    auto served = std::async(std::launch::async, [&] { return fetch("x"); });
    EXPECT_EQ(served.wait_for(kSoon), std::future_status::ready);
    auto ended = std::async(std::launch::async, [&] { feeder.reset(); });
    EXPECT_EQ(ended.wait_for(kSoon), std::future_status::ready);
    silent.reset();
    EXPECT_EQ(served.get(), 1);
    ended.get();
}

TEST_F(LogFeederTest, WhoSaysNothingIsSentAway)
{
    auto goal = plan(group_.full());
    auto hasty = options();
    hasty.patience = std::chrono::milliseconds{20};
    LogFeeder feeder(t_.storage, goal, hasty);
    auto silent = mute();
    pollfd wait{silent.get(), POLLIN, 0};
    constexpr auto kSoonMs = std::chrono::milliseconds(kSoon).count();
    ASSERT_EQ(::poll(&wait, 1, static_cast<int>(kSoonMs)), 1);
    char answer = 0;
    EXPECT_EQ(::recv(silent.get(), &answer, 1, MSG_DONTWAIT), 0) << "closed, and not answered";
}

} // namespace
} // namespace tidemark::job
