// Which marks stay, rule by rule; over random repositories: retention_property_test.cpp.

#include "model/retention.h"

#include <algorithm>
#include <gtest/gtest.h>

namespace tidemark::model {
namespace {

using std::chrono::hours;

RetentionInput marks_every(base::Duration step, base::Duration since, int keep_days)
{
    RetentionInput in;
    in.now = base::Time{hours{24 * 20000}};
    in.policy.keep_days = keep_days;
    Number number = 0;
    for (auto at = in.now - since; at <= in.now; at += step)
        in.marks.push_back({.number = ++number, .created = at, .previous = {}, .restorable = true});
    return in;
}

std::size_t staying(const std::map<Number, Fate>& fates)
{
    return static_cast<std::size_t>(std::count_if(
        fates.begin(), fates.end(), [](const auto& one) { return one.second.stays; }));
}

TEST(RetentionTest, ThinsToOneAnHourAndThenOneADay)
{
    auto in = marks_every(std::chrono::minutes{10}, hours{24 * 60}, 60);
    // 2 days of all, 28 days of hours, 30 days of days; the slots at the edges are not closed yet.
    auto left = staying(plan_retention(in).marks);
    EXPECT_GE(left, 2U * 144 + 28U * 24 + 29U);
    EXPECT_LE(left, 2U * 144 + 6 + 29U * 24 + 31U);
}

TEST(RetentionTest, PrefersTheNewestRestorableOfAnHour)
{
    auto in = marks_every(std::chrono::minutes{10}, hours{24 * 4}, 14);
    in.marks[5].restorable = false; // the last of the first hour
    auto plan = plan_retention(in);
    EXPECT_TRUE(plan.marks.at(5).stays);
    EXPECT_FALSE(plan.marks.at(6).stays);
    EXPECT_EQ(plan.marks.at(6).why, "thinned: m-5 stays for its hour");
}

TEST(RetentionTest, AnOldGroupKeepsItsNewestRestorableAndProvenMarks)
{
    auto in = marks_every(hours{1}, hours{10}, 14);
    in.now += hours{24 * 365};
    in.proven = {2, 3};
    in.marks.back().restorable = false;
    auto plan = plan_retention(in);
    EXPECT_EQ(plan.marks.at(11).why, "the newest mark");
    EXPECT_EQ(plan.marks.at(10).why, "the newest restorable mark");
    EXPECT_EQ(plan.marks.at(3).why, "the newest proven mark");
    EXPECT_EQ(staying(plan.marks), 3U);
}

TEST(RetentionTest, ABaseBackupThatNoSetNamesGoesAfterADay)
{
    auto in = marks_every(hours{1}, hours{24 * 5}, 14);
    auto ago = [&](int back) { return in.now - hours{back}; };
    in.members["a"].backups = {
        {1, ago(100)}, {2, ago(90)}, {3, ago(80)}, {4, ago(23)}, {5, ago(30)}};
    in.sets.push_back({.number = 1, .mark = 1, .backups = {{"a", 1}}});
    in.marks.back().needs["a"].backup = 3;
    auto fates = plan_retention(in).members.at("a").backups;
    EXPECT_TRUE(fates.at(1).stays) << "of a set";
    EXPECT_FALSE(fates.at(2).stays) << fates.at(2).why;
    EXPECT_TRUE(fates.at(3).stays) << "a mark needs it";
    EXPECT_TRUE(fates.at(4).stays) << "its set may still come";
    EXPECT_TRUE(fates.at(5).stays) << "the newest";
    in.closing = true;
    EXPECT_TRUE(plan_retention(in).members.at("a").backups.at(2).stays);
}

TEST(RetentionTest, OfThoseThatNoSetNamesTheOldestStandsInForTheLaterOnes)
{
    auto in = marks_every(hours{1}, hours{24 * 5}, 14);
    for (auto& mark : in.marks)
        mark.restorable = false;
    auto ago = [&](base::Duration back) { return in.now - back; };
    in.members["a"].backups = {{1, ago(hours{30})},
                               {2, ago(hours{20}), 1},
                               {3, ago(hours{2}), 1},
                               {4, ago(std::chrono::minutes{30}), 1},
                               {5, ago(std::chrono::minutes{10}), 1}};
    auto stay = [&] {
        std::vector<Number> out;
        const auto plan = plan_retention(in); // outlives the loop
        for (const auto& [number, fate] : plan.members.at("a").backups)
            if (fate.stays) out.push_back(number);
        return out;
    };
    using Numbers = std::vector<Number>;
    EXPECT_EQ(stay(), (Numbers{1, 4, 5})) << "nothing is restorable, and yet";
    EXPECT_EQ(plan_retention(in).members.at("a").backups.at(2).why,
              "no backup set names it, and b-1 with the log since stands in for it");
    in.marks.back().needs["a"].backup = 3;
    EXPECT_EQ(stay(), (Numbers{1, 3, 4, 5})) << "whatever stands in, what a mark needs stays";
    in.sets.push_back({.number = 1, .mark = 1, .backups = {{"a", 2}}});
    EXPECT_EQ(stay(), (Numbers{1, 2, 3, 4, 5})) << "of a set";
    in.sets.clear();
    in.closing = true;
    EXPECT_EQ(stay().size(), 5U) << "a set may still name them";
}

TEST(RetentionTest, OfAMemberThatLeftNothingStaysForItsOwnSake)
{
    auto in = marks_every(hours{1}, hours{24 * 5}, 3);
    auto& b = in.members["b"];
    b.backups = {{1, in.now - hours{24 * 20}}};
    b.pieces = {{.key = "old", .range = {1, 0, 10}, .stored = in.now - hours{24 * 20}},
                {.key = "in no set", .range = {1, 10, 20}, .stored = in.now - hours{24 * 19}}};
    b.settled = LogPosition{1, 10};
    in.sets.push_back({.number = 1, .mark = 1, .backups = {{"b", 1}}});
    // Else mark 1 stays as the newest that closes a set.
    in.members["a"].backups = {{1, in.now}};
    in.sets.push_back({.number = 2, .mark = in.marks.back().number, .backups = {{"a", 1}}});
    EXPECT_TRUE(plan_retention(in).members.at("b").backups.at(1).stays);
    b.left = true;
    auto plan = plan_retention(in);
    EXPECT_FALSE(plan.members.at("b").backups.at(1).stays);
    EXPECT_FALSE(plan.members.at("b").pieces.at("old").stays);
    EXPECT_FALSE(plan.members.at("b").pieces.at("in no set").stays);
    EXPECT_FALSE(plan.marks.at(1).stays) << plan.marks.at(1).why;
    in.marks.back().needs["b"] = {.backup = 1, .log = {{1, 0, 20}}};
    plan = plan_retention(in);
    EXPECT_TRUE(plan.members.at("b").backups.at(1).stays);
    EXPECT_TRUE(plan.members.at("b").pieces.at("in no set").stays);
}

TEST(RetentionTest, AMomentIsNotThinnedAndThinsNoMark)
{
    auto in = marks_every(std::chrono::minutes{10}, hours{24 * 4}, 14);
    auto number = in.marks.back().number + 1;
    in.marks.push_back({.number = number,
                        .created = in.marks[3].created,
                        .previous = {},
                        .restorable = true,
                        .moment = true});
    auto plan = plan_retention(in);
    EXPECT_EQ(plan.marks.at(number - 1).why, "young: every mark stays");
    EXPECT_TRUE(plan.marks.at(number).stays);
    EXPECT_EQ(plan.marks.at(6).why, "the one of its hour");
}

TEST(RetentionTest, TheProofOfAMarkThatStaysIsNotTrimmed)
{
    auto in = marks_every(hours{1}, hours{10}, 14);
    in.now += hours{24 * 60};
    in.held[2] = "held";
    auto at = in.now - hours{24 * 50};
    // Of the held mark, twice; of one that has gone; the newest proof; then none that proves.
    in.drills = {{.number = 1, .at = at, .proves = 2},
                 {.number = 2, .at = at, .proves = 2},
                 {.number = 3, .at = at, .proves = 77},
                 {.number = 4, .at = at, .proves = 4}};
    for (Number number = 5; number < 5 + 101; ++number)
        in.drills.push_back({.number = number, .at = at, .failed = true});
    for (int round = 0; round < 2; ++round) {
        in.proven.clear();
        for (const auto& drill : in.drills)
            if (drill.proves) in.proven.insert(*drill.proves);
        auto plan = plan_retention(in);
        EXPECT_EQ(plan.marks.at(4).why, "the newest proven mark") << round;
        EXPECT_TRUE(plan.drills.at(4).stays) << round;
        EXPECT_EQ(plan.drills.at(2).why, "it proves m-2, which stays") << round;
        EXPECT_EQ(staying(plan.drills), 102U) << round;
        std::erase_if(in.drills,
                      [&](const auto& one) { return !plan.drills.at(one.number).stays; });
        std::erase_if(in.marks, [&](const auto& one) { return !plan.marks.at(one.number).stays; });
    }
}

TEST(RetentionTest, ADrillThatFailedStaysForTheDays)
{
    auto in = marks_every(hours{1}, hours{10}, 14);
    in.drills = {{.number = 1, .at = in.now - hours{24 * 15}, .failed = true},
                 {.number = 2, .at = in.now - hours{24 * 5}, .failed = true},
                 {.number = 3, .at = in.now - hours{24 * 5}}};
    for (Number number = 4; number < 4 + 100; ++number)
        in.drills.push_back({.number = number, .at = in.now});
    auto fates = plan_retention(in).drills;
    EXPECT_FALSE(fates.at(1).stays);
    EXPECT_TRUE(fates.at(2).stays);
    EXPECT_FALSE(fates.at(3).stays);
}

} // namespace
} // namespace tidemark::model
