// What crash_test.cpp does for mark, log and backup, for the other jobs that write: each is stopped
// at every step of the store in turn, both before and after the step took effect; the same command
// again then gets to its end.

#include "base/temp_dir.h"
#include "job/audit.h"
#include "job/drill.h"
#include "job/joint_copies.h"
#include "job/joint_restore.h"
#include "job/mark.h"
#include "job/moment.h"
#include "job/reindex.h"
#include "job/world_testing.h"
#include "repo/holds.h"
#include "repo/identities.h"
#include "repo/layout.h"
#include "repo/marks.h"
#include "repo/restore_book.h"

#include <algorithm>
#include <fmt/format.h>
#include <functional>
#include <gtest/gtest.h>

namespace tidemark::job {
namespace {

using Step = store::MemoryStorage::Step;
using namespace std::chrono_literals;

/// One life of a job in a world of its own.
class Life {
public:
    virtual ~Life() = default;
    virtual void work() = 0;
    virtual void check_after_crash() { world.check_after_crash(); }
    /// After work() was done once more.
    virtual void check_done() {}

    World world;
};

/// Stops `L::work` at each step; returns how many steps it has.
template <typename L> std::size_t stop_everywhere(Step step)
{
    for (std::size_t k = 1;; ++k) {
        SCOPED_TRACE(fmt::format("stopped at step {}, which was {}", k,
                                 step == Step::lost ? "lost" : "applied"));
        L life;
        auto& storage = life.world.storage();
        storage.crash_at(k, step);
        try {
            life.work();
        } catch (const base::Error&) {
        }
        bool crashed = storage.crashed();
        storage.reopen();
        life.check_after_crash();
        life.world.wait_for_leases();
        life.work();
        life.check_done();
        life.world.check_whole();
        if (!crashed || testing::Test::HasFailure()) return k - 1;
    }
}

template <typename L> void stop_everywhere(std::size_t at_least)
{
    EXPECT_GE(stop_everywhere<L>(Step::lost), at_least);
    EXPECT_GE(stop_everywhere<L>(Step::applied), at_least);
}

/// A group of its own, on servers that nobody backed up so far.
struct Init : Life {
    Init()
    {
        group.name = "second";
        for (const char* name : {"c", "d"}) {
            servers.push_back(world.engine().add_server(
                {.name = name, .system_id = fmt::format("800{}", name), .clock = &world.clock()}));
            group.members.push_back({.name = name,
                                     .url = fmt::format("fake:{}", name),
                                     .data_dir = {},
                                     .gid_pattern = "identical"});
            servers.back()->set_file("relation", base::Bytes(9000, std::byte{1}));
            servers.back()->prepare("before-init");
        }
    }
    void work() override { initialise(world.context().for_group(group), {.unbounded = true}); }
    void check_done() override
    {
        auto context = world.context();
        auto ours = context.for_group(group);
        for (const auto& member : group.members) {
            auto record =
                repo::Identities(world.storage(), {.group = "second", .member = member.name})
                    .latest();
            ASSERT_TRUE(record.has_value());
            ASSERT_EQ(record->value.seeds.size(), 1U);
            EXPECT_EQ(record->value.seeds[0].gid, "before-init");
        }
        for (auto& server : servers)
            server->noise(3000);
        auto backup = back_up_group(ours, {});
        EXPECT_TRUE(repo::plan_restore(repo::load_view(world.storage(), "second"),
                                       backup.closing.mark.number())
                        .plan.has_value());
        for (const auto& fault : repo::verify(world.repository(), "second").faults)
            ADD_FAILURE() << fault.object << ": " << fault.text;
    }

    model::GroupSpec group;
    std::vector<std::shared_ptr<engine::fake::FakeServer>> servers;
};

TEST(CrashTest, AnInitStoppedAnywhere)
{
    stop_everywhere<Init>(6);
}

struct AddMember : Life {
    AddMember()
    {
        server =
            world.engine().add_server({.name = "c", .system_id = "800c", .clock = &world.clock()});
        server->set_file("relation", base::Bytes(9000, std::byte{1}));
        alone.name = "shop";
        alone.members.push_back(
            {.name = "c", .url = "fake:c", .data_dir = {}, .gid_pattern = "identical"});
    }
    void work() override
    {
        initialise(world.context().for_group(alone), {.unbounded = true, .late = true});
    }
    void check_after_crash() override
    {
        world.check_after_crash();
        // Who is not configured yet hinders nobody.
        world.wait_for_leases();
        place_mark(world.context(), {});
    }
    void check_done() override
    {
        world.group().members.push_back(alone.members.front());
        auto backup = back_up_group(world.context(), {});
        EXPECT_EQ(backup.closing.mark.value.members.size(), 3U);
        EXPECT_EQ(repo::newest_restorable(world.view()), backup.closing.mark.number());
    }

    std::shared_ptr<engine::fake::FakeServer> server;
    model::GroupSpec alone;
};

TEST(CrashTest, AnAddMemberStoppedAnywhere)
{
    stop_everywhere<AddMember>(4);
}

struct MarkAt : Life {
    MarkAt()
    {
        world.clock().advance(1s);
        world.work();
        world.clock().advance(1s);
        time = world.clock().now();
        world.clock().advance(1s);
        world.work();
        place_mark(world.context(), {});
    }
    std::size_t there()
    {
        const auto marks = world.view().marks;
        return static_cast<std::size_t>(std::ranges::count_if(
            marks, [](const auto& mark) { return mark.value.name == "then"; }));
    }
    void work() override
    {
        try {
            record_moment(world.context(), find_moment(world.context(), world.view(), time),
                          "then");
        } catch (const base::Error& error) {
            // It had been recorded, and nobody was told.
            if (error.code() != base::Code::usage) throw;
        }
    }
    void check_done() override
    {
        EXPECT_EQ(there(), 1U);
        EXPECT_TRUE(audit_mark(world.context(), "then").good());
        auto mark = repo::Marks(world.storage(), "shop").need("then");
        EXPECT_TRUE(repo::plan_restore(world.view(), mark.number()).plan.has_value());
        world.work();
        auto next = place_mark(world.context(), {});
        EXPECT_EQ(repo::newest_restorable(world.view()), next.mark.number());
    }

    base::Time time;
};

TEST(CrashTest, AMarkInThePastStoppedAnywhere)
{
    stop_everywhere<MarkAt>(3);
}

struct Reindex : Life {
    Reindex()
    {
        place_mark(world.context(), {});
        world.work();
        place_mark(world.context(), {});
        for (const auto& key : indexes())
            world.storage().remove(key);
    }
    std::vector<std::string> indexes()
    {
        std::vector<std::string> out;
        for (const auto& object : world.storage().list("groups/shop/"))
            if (object.key.ends_with(".idx")) out.push_back(object.key);
        return out;
    }
    void work() override { reindex(world.context()); }
    void check_done() override
    {
        auto report = reindex(world.context());
        EXPECT_TRUE(report.problems.empty());
        EXPECT_EQ(report.rebuilt, 0U);
        EXPECT_EQ(indexes().size(), report.pieces);
        world.work();
        auto mark = place_mark(world.context(), {});
        EXPECT_TRUE(audit_mark(world.context(), repo::mark_id(mark.mark.number())).good());
    }
};

TEST(CrashTest, AReindexStoppedAnywhere)
{
    stop_everywhere<Reindex>(6);
}

struct Hold : Life {
    void work() override
    {
        repo::HoldBook(world.storage(), "shop")
            .hold({.mark = 1,
                   .note = "why",
                   .by = "here",
                   .since = world.clock().now(),
                   .until = {}});
    }
    void check_done() override
    {
        auto holds = repo::HoldBook(world.storage(), "shop").holds();
        ASSERT_EQ(holds.size(), 1U);
        EXPECT_EQ(holds[0].mark, 1U);
    }
};

struct Release : Life {
    Release()
    {
        for (model::Number mark : {1U, 2U}) {
            if (mark == 2) place_mark(world.context(), {});
            repo::HoldBook(world.storage(), "shop")
                .hold({.mark = mark,
                       .note = "",
                       .by = "here",
                       .since = world.clock().now(),
                       .until = {}});
        }
    }
    void work() override { repo::HoldBook(world.storage(), "shop").release(1); }
    void check_done() override
    {
        auto holds = repo::HoldBook(world.storage(), "shop").holds();
        ASSERT_EQ(holds.size(), 1U) << "the other one stays";
        EXPECT_EQ(holds[0].mark, 2U);
    }
};

TEST(CrashTest, AHoldAndAReleaseStoppedAnywhere)
{
    stop_everywhere<Hold>(2);
    stop_everywhere<Release>(2);
}

/// A restore over two hosts, which meet in the book.
struct Joint : Life {
    Joint()
    {
        world.let_restores_read();
        mark = place_mark(world.context(), {}).mark.number();
    }
    repo::RestorePlan plan(std::vector<std::string> members = {})
    {
        return repo::need_plan(
            repo::plan_restore(world.view(), mark, {.members = std::move(members)}));
    }
    RestoreOptions place(const std::string& host)
    {
        RestoreOptions options;
        options.dir = dir.path() / host;
        return options;
    }
    void bring(const std::string& host, const std::string& member)
    {
        restore_to_mark(world.context(), plan({member}), place(host), {.program = "test"});
    }
    JointOutcome open(const std::string& host, const std::string& member)
    {
        return open_members(world.context(), plan({member}), place(host), {.program = "test"});
    }
    std::size_t open_books() { return repo::RestoreBook(world.storage(), "shop").open().size(); }

    base::TempDir dir;
    model::Number mark = 0;
};

struct JointBring : Joint {
    void work() override { bring("one", "a"); }
    void check_done() override
    {
        ASSERT_EQ(open_books(), 1U);
        bring("two", "b");
        open("one", "a");
        EXPECT_TRUE(open("two", "b").is_last);
        EXPECT_EQ(open_books(), 0U);
    }
};

struct JointOpen : Joint {
    JointOpen()
    {
        bring("one", "a");
        bring("two", "b");
    }
    /// As `restore --open` does it.
    void work() override
    {
        auto here = joint_members(place("one"), {});
        confirm_opened(world.context(), here);
        if (here.at("a").phase != RestorePhase::handed_over) open("one", "a");
    }
    void check_done() override
    {
        EXPECT_TRUE(open("two", "b").is_last);
        EXPECT_EQ(open_books(), 0U);
    }
};

TEST(CrashTest, ARestoreOverHostsStoppedAnywhere)
{
    stop_everywhere<JointBring>(4);
}

TEST(CrashTest, OpeningOverHostsStoppedAnywhere)
{
    // A claim that was made, and whose answer was lost, is followed by the next number; the server
    // in memory does not ask the feeder which are taken and would go to the first one.
    EXPECT_GE(stop_everywhere<JointOpen>(Step::lost), 2U);
}

} // namespace
} // namespace tidemark::job
