#include "job/log_feeder.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/temp_dir.h"
#include "repo/little_group.h"

#include <filesystem>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace tidemark::job {
namespace {

namespace fs = std::filesystem;
using repo::testing::kSegment;
using repo::testing::LittleGroup;

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
        return {.folder = dir_.path() / "work", .owner = {}, .segment_size = kSegment};
    }
    static std::string name(model::Epoch epoch, std::uint64_t segment)
    {
        return fmt::format("{:08X}{:08X}{:08X}", epoch, segment / 4096, segment % 4096);
    }
    int fetch(const std::string& file) const
    {
        return fetch_log(dir_.path() / "work", file, dir_.path() / "got");
    }
    base::Bytes got() const { return base::read_file(dir_.path() / "got", 2 * kSegment); }

    repo::testing::TestStore t_;
    LittleGroup group_{t_.storage, t_.clock};
    base::TempDir dir_;
};

// rule 28
TEST_F(LogFeederTest, OneIsForNamesOutsideThePlanAndTwoHundredForWhatCannotBeDelivered)
{
    auto mark = group_.full();
    auto goal = plan(mark);
    auto segment = goal.log_from.offset / kSegment;
    auto beyond = goal.log_to.offset / kSegment + 1;
    group_.grow("orders", 3 * kSegment); // stored, but behind the mark: no business of this plan
    {
        LogFeeder feeder(t_.storage, goal, options());
        for (const auto& outside : {name(1, beyond), name(1, beyond + 9), name(2, segment),
                                    std::string("00000002.history"), name(1, segment) + ".partial",
                                    std::string("../../etc/passwd"), std::string("x")})
            EXPECT_EQ(fetch(outside), 1) << outside;
        EXPECT_FALSE(fs::exists(dir_.path() / "got"));
        ASSERT_EQ(fetch(name(1, segment)), 0);
        auto bytes = got();
        ASSERT_EQ(bytes.size(), kSegment);
        for (model::Offset at = goal.log_from.offset; at < goal.log_to.offset; ++at)
            ASSERT_EQ(bytes[at - segment * kSegment], repo::testing::log_byte(at)) << at;
        struct stat info = {};
        ASSERT_EQ(::stat((dir_.path() / "got").c_str(), &info), 0);
        EXPECT_LT(static_cast<std::uint64_t>(info.st_blocks) * 512, kSegment)
            << "written part by part, not from one buffer as long as a segment";
        for (model::Offset at = goal.log_to.offset; at < (segment + 1) * kSegment; ++at)
            ASSERT_EQ(bytes[at - segment * kSegment], std::byte{0}) << "past the end of the plan";
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

// rule 13, 24
TEST_F(LogFeederTest, HistoryFilesOfThePlanAreServedAndTakenNumbersLookTaken)
{
    group_.full();
    group_.fail_over("orders");
    auto mark = group_.log();
    auto goal = plan(mark);
    auto segment = (goal.history.ancestors().at(0).left_at - 1) / kSegment;
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
}

} // namespace
} // namespace tidemark::job
