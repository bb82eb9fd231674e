#include "model/lost.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TransactionAt torn(const std::string& id)
{
    TransactionAt out{.global_id = id};
    out.parts.push_back({.branch = {.member = "a"}, .state = StateAt::committed});
    out.parts.push_back({.branch = {.member = "b"}, .state = StateAt::lost});
    return out;
}

/// Numbered from 1, one after the other on one history.
std::vector<Mark> marks_in_a_row(std::size_t count)
{
    std::vector<Mark> marks(count);
    for (std::size_t i = 0; i < marks.size(); ++i) {
        marks[i].number = i + 1;
        for (const char* name : {"a", "b"})
            marks[i].members.push_back({.name = name, .cut = {1, 100 * (i + 1)}});
    }
    return marks;
}

std::vector<const Mark*> pointers_to(const std::vector<Mark>& marks)
{
    std::vector<const Mark*> all;
    for (const Mark& mark : marks)
        all.push_back(&mark);
    return all;
}

// rule 13
TEST(LostTest, IsToldOfTheMarkThatFoundItAndOfAllLaterOnes)
{
    auto marks = marks_in_a_row(4);
    marks[1].at.lost = {torn("g")};
    const auto all = pointers_to(marks);
    EXPECT_THAT(lost_up_to(all, marks[0]), IsEmpty());
    for (std::size_t i = 1; i < marks.size(); ++i)
        EXPECT_THAT(lost_up_to(all, marks[i]), ElementsAre(HasSubstr("g is committed at a")));
    marks[3].at.lost = {torn("h")};
    EXPECT_EQ(lost_up_to(all, marks[2]).size(), 1U);
    EXPECT_EQ(lost_up_to(all, marks[3]).size(), 2U);
}

// rule 8
TEST(LostTest, DamageIsToldOfTheMarkThatFoundItAndNotedOfTheLaterOnes)
{
    TransactionAt damaged{.global_id = "h"};
    damaged.parts.push_back({.branch = {.member = "a"}, .state = StateAt::committed});
    damaged.parts.push_back({.branch = {.member = "b"}, .state = StateAt::rolled_back});
    auto marks = marks_in_a_row(3);
    marks[1].created = base::Time{std::chrono::seconds{5}};
    marks[2].created = base::Time{std::chrono::seconds{6}};
    marks[1].at.damaged = {damaged, damaged};
    const auto all = pointers_to(marks);
    auto told = ElementsAre(HasSubstr("h is committed at a and rolled back at b"));
    EXPECT_THAT(damage_found_by(marks[0]), IsEmpty());
    EXPECT_THAT(damage_found_by(marks[1]), told);
    EXPECT_THAT(damage_found_by(marks[2]), IsEmpty());
    EXPECT_THAT(damage_found_before(all, marks[0]), IsEmpty());
    EXPECT_THAT(damage_found_before(all, marks[1]), IsEmpty());
    EXPECT_THAT(damage_found_before(all, marks[2]), told);
    EXPECT_THAT(damage_found_since(all, marks[1].created), told);
    EXPECT_THAT(half_there_at(all, marks[0]), IsEmpty());
    EXPECT_THAT(half_there_at(all, marks[1]), told);
    EXPECT_THAT(half_there_at(all, marks[2]), told);
    EXPECT_THAT(damage_found_since(all, marks[2].created), IsEmpty());
    marks[2].at.damaged = {damaged};
    EXPECT_THAT(damage_found_before(all, marks[2]), IsEmpty());
}

// rule 8, 13: m-2 tells, the group is restored to m-1 and goes on
TEST(LostTest, IsNotToldOfMarksOnAHistoryThatLeavesItOut)
{
    auto marks = marks_in_a_row(3);
    marks[1].at.lost = {torn("g")};
    TransactionAt damaged{.global_id = "h"};
    damaged.parts.push_back({.branch = {.member = "a"}, .state = StateAt::committed});
    marks[1].at.damaged = {damaged};
    const auto all = pointers_to(marks);
    auto move_to = [&](Offset left_at) {
        for (auto& member : marks[2].members) {
            member.history = History{2, {{.epoch = 1, .left_at = left_at}}};
            member.cut.epoch = 2;
        }
    };
    move_to(250); // a failover behind m-2
    EXPECT_EQ(lost_up_to(all, marks[2]).size(), 1U);
    EXPECT_EQ(damage_found_before(all, marks[2]).size(), 1U);
    move_to(150);
    EXPECT_THAT(half_there_at(all, marks[2]), IsEmpty());
    marks[2].members[0].history = History{1};
    EXPECT_THAT(half_there_at(all, marks[2]), IsEmpty()) << "one member was set back";
    // Restored under new names.
    for (auto& member : marks[2].members) {
        member.history = History{1};
        member.name += "2";
    }
    EXPECT_THAT(half_there_at(all, marks[2]), IsEmpty());
    // What is at hand of its own is told on any history.
    marks[2].at.lost = {torn("i")};
    EXPECT_THAT(half_there_at(all, marks[2]), ElementsAre(HasSubstr("i is committed at a")));
    EXPECT_EQ(half_there_at(all, marks[1]).size(), 2U);
}

// rule 13
TEST(LostTest, AMomentRepeatsNothingForOthers)
{
    Mark moment;
    moment.created = base::Time{std::chrono::seconds{5}};
    moment.members.push_back({.name = "a", .wanted = 5});
    moment.at.lost = {torn("g")};
    Mark mark;
    mark.number = 1;
    mark.created = base::Time{std::chrono::seconds{6}};
    mark.at.lost = {torn("g")};
    const Mark* all[] = {&moment, &mark};
    EXPECT_EQ(lost_up_to(all, mark).size(), 1U);
    EXPECT_EQ(lost_up_to(all, moment).size(), 1U);
}

} // namespace
} // namespace tidemark::model
