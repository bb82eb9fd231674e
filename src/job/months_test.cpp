#include "job/moment.h"
#include "job/months_testing.h"
#include "job/status.h"
#include "repo/view.h"

#include <algorithm>
#include <atomic>

namespace tidemark::job {
namespace {

// rule 36
TEST(MonthsTest, FrequentMarksDoNotDrownTheStore)
{
    SimulatedMonths group(std::chrono::minutes{10});
    group.spec().keep_days = 4;
    std::size_t most = 0;
    for (int day = 0; day < 7; ++day)
        group.live_a_day();
    std::size_t settled = group.objects();
    for (int day = 0; day < 2; ++day) {
        group.live_a_day();
        most = std::max(most, group.objects());
    }
    // 144 marks a day; without retention there would be 11,700 objects by now.
    EXPECT_LT(most, 6'000U);
    EXPECT_LT(most, settled + settled / 10);
    auto view = repo::load_view(group.storage(), "shop");
    ASSERT_TRUE(repo::newest_restorable(view).has_value());
    EXPECT_EQ(*repo::newest_restorable(view), view.marks.front().number());
    for (const auto& mark : view.marks)
        if (mark.value.created > group.storage().now() - std::chrono::hours{24 * 3}) {
            EXPECT_TRUE(repo::plan_restore(view, mark.number()).plan.has_value())
                << "m-" << mark.number();
        }
}

struct SteadyState {
    double most = 0;   ///< objects of one day, with those that retention removes at its end
    double growth = 0; ///< objects of the last day
};

SteadyState live_until_steady(base::Duration mark_every, int keep_days)
{
    SimulatedMonths group(mark_every);
    group.spec().keep_days = keep_days;
    SteadyState out;
    double before = 0;
    for (int day = 0; day < keep_days + 2; ++day) {
        group.live_a_day();
        auto now = static_cast<double>(group.objects());
        out.most = std::max(out.most, now + static_cast<double>(group.last().removed));
        out.growth = now - before;
        before = now;
    }
    return out;
}

// rule 36. A year of a mark every 30 seconds was simulated by hand: at most 70,908 objects
// (docs/support.md; tidemark_bench_months 365 30). What four small groups tell about that one comes
// within a hundredth of it, so whatever would drown a store in a year fails here within seconds.
TEST(MonthsTest, AYearOfFrequentMarksStaysBelowAHundredThousandObjects)
{
    constexpr double kFew = 48;
    constexpr double kMany = 96; // marks a day
    constexpr double kDays = 3;  // that are kept
    const auto few = live_until_steady(std::chrono::minutes{30}, 3);
    const auto many = live_until_steady(std::chrono::minutes{15}, 3);
    const auto longer = live_until_steady(std::chrono::minutes{30}, 4);
    const auto both = live_until_steady(std::chrono::minutes{15}, 4);
    for (const auto& state : {few, many, longer, both})
        EXPECT_LT(state.growth, 10) << "a day brings more than retention takes";

    const double marks = 24 * 60 * 2 - kFew;
    const double days = model::GroupSpec{}.keep_days - kDays;
    const double per_mark = (many.most - few.most) / (kMany - kFew);
    const double per_day = longer.most - few.most;
    const double per_mark_and_day =
        (both.most - longer.most - many.most + few.most) / (kMany - kFew);
    const double year =
        few.most + per_mark * marks + per_day * days + per_mark_and_day * marks * days;
    EXPECT_LT(year, 100'000);
    EXPECT_GT(year, 10'000) << "this is no such group any more";
}

/// How often a store is asked; what it is asked for is another's affair.
class CountedStorage final : public store::Storage {
public:
    explicit CountedStorage(store::Storage& next) : next_(next) {}

    store::Traits traits() override { return next_.traits(); }
    std::unique_ptr<store::ObjectWriter> create(std::string_view key) override
    {
        return next_.create(key);
    }
    std::unique_ptr<base::ByteSource> open(std::string_view key,
                                           std::optional<store::Range> range) override
    {
        ++opens;
        return next_.open(key, range);
    }
    std::optional<store::ObjectInfo> stat(std::string_view key) override
    {
        ++stats;
        return next_.stat(key);
    }
    std::vector<store::ObjectInfo> list(std::string_view prefix) override
    {
        ++lists;
        return next_.list(prefix);
    }
    bool remove(std::string_view key) override { return next_.remove(key); }
    base::Time now() override { return next_.now(); }

    std::atomic<std::size_t> opens = 0, stats = 0, lists = 0; // several objects are read at a time

private:
    store::Storage& next_;
};

struct Asked {
    std::size_t opens = 0, stats = 0, lists = 0;
    std::size_t marks = 0; ///< that there are
};

/// What `status`, a list of what can be restored and `restore --plan` ask of the store.
Asked ask_for_the_present(SimulatedMonths& group)
{
    CountedStorage storage(group.storage());
    auto repository = repo::Repository::open(storage);
    auto usual = group.context();
    auto spec = group.spec();
    for (const char* name : {"orders", "stock", "billing"})
        spec.members.emplace_back().name = name;
    Context context{.repository = repository,
                    .engine = usual.engine,
                    .group = spec,
                    .progress = usual.progress,
                    .clock = usual.clock,
                    .stop = {},
                    .command = "test",
                    .host = "here"};
    auto view = repo::load_recent(storage, "shop");
    auto status = read_status(context, view, {.ask_members = false});
    EXPECT_TRUE(status.is_restorable());
    EXPECT_FALSE(repo::restorable_marks(view).empty());
    EXPECT_TRUE(repo::plan_restore(view, view.marks.front().number()).plan.has_value());
    return {.opens = storage.opens,
            .stats = storage.stats,
            .lists = storage.lists,
            .marks = repo::load_view(group.storage(), "shop").marks.size()};
}

// Below a second on a year of marks was measured by hand (docs/support.md). Seconds tell of the
// machine; how often the store is asked tells whether the answer takes longer from day to day.
TEST(MonthsTest, WhatIsAskedAboutThePresentDoesNotGrowWithTheHistory)
{
    constexpr std::size_t kSlack = 8;
    SimulatedMonths group(std::chrono::hours{1});
    group.spec().keep_days = 30; // so that all of them stay
    int day = 0;
    for (; day < 12; ++day) // more sets by then than are read at once
        group.live_a_day();
    const auto before = ask_for_the_present(group);
    for (; day < 24; ++day)
        group.live_a_day();
    const auto after = ask_for_the_present(group);
    ASSERT_GT(after.marks, before.marks + 200) << "nothing was added that could be read";
    EXPECT_LE(after.opens, before.opens + kSlack);
    EXPECT_LE(after.stats, before.stats + kSlack);
    EXPECT_LE(after.lists, before.lists + kSlack);
    // 16 marks, 256 sets, 16 runs, two backups of each member, and what there is one of.
    EXPECT_LT(after.opens, 400U);
    EXPECT_LT(after.stats, 100U);
    EXPECT_LT(after.lists, 100U);
}

struct Listed {
    std::size_t for_marks = 0, for_windows = 0; ///< requests of all kinds
    std::size_t marks = 0, backups = 0;         ///< that there are
};

/// What `list marks` and `list windows` ask, with the views that they load.
Listed list_what_is_there(SimulatedMonths& group)
{
    Listed out;
    auto asked = [](const CountedStorage& storage) {
        return storage.opens + storage.stats + storage.lists;
    };
    CountedStorage for_marks(group.storage());
    auto newest = repo::load_view(for_marks, "shop", {.marks = 101, .sets = repo::SetScope::none});
    EXPECT_EQ(newest.marks.size(), 101U);
    EXPECT_FALSE(repo::restorable_marks(newest).empty());
    out.for_marks = asked(for_marks);
    CountedStorage for_windows(group.storage());
    auto all =
        repo::load_view(for_windows, "shop", {.sets = repo::SetScope::none, .proofs = false});
    EXPECT_FALSE(restore_windows(all).empty());
    out.for_windows = asked(for_windows);
    out.marks = all.marks.size();
    for (const auto& [name, member] : all.members)
        out.backups += member.backups.size();
    return out;
}

TEST(MonthsTest, ListsReadWhatTheyShowAndNoMore)
{
    constexpr std::size_t kSlack = 24; // opens, stats and lists together
    SimulatedMonths group(std::chrono::hours{1});
    group.spec().keep_days = 30; // so that all of them stay
    int day = 0;
    for (; day < 8; ++day)
        group.live_a_day();
    const auto before = list_what_is_there(group);
    for (; day < 16; ++day)
        group.live_a_day();
    const auto after = list_what_is_there(group);
    ASSERT_GT(after.marks, before.marks + 150) << "nothing was added that could be read";
    // The newest marks, however many there are; and all base backups, which are few.
    const auto backups = after.backups - before.backups;
    EXPECT_LE(after.for_marks, before.for_marks + backups + kSlack);
    // Every mark, for the edges of the windows: once, and no set.
    EXPECT_LE(after.for_windows,
              before.for_windows + backups + (after.marks - before.marks) + kSlack);
}

} // namespace
} // namespace tidemark::job
