#include "base/error.h"
#include "base/temp_dir.h"
#include "job/backup.h"
#include "job/mark.h"
#include "job/restore_member.h"
#include "job/world_testing.h"
#include "repo/log_reader.h"
#include "repo/restore_plan.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <string>

namespace tidemark::job {
namespace {

TEST(RestorePreflightTest, RecordsOfExtensionsNeedTheirLibraries)
{
    World world;
    world.work();
    auto number = place_mark(world.context(), {}).mark.number();
    auto plan = repo::need_plan(repo::plan_restore(world.view(), number));
    base::TempDir dir;
    RestoreOptions options;
    options.dir = dir.path() / "r";
    EXPECT_NO_THROW(check_restore(world.context(), plan, options));

    const auto& piece = plan.members.at("b").pieces.back().piece;
    repo::LogCatalog catalog;
    catalog.id = {.group = "shop", .member = "b"};
    repo::LogReader reader(world.storage(), catalog);
    auto index = reader.index(piece, {});
    index.notices.push_back(
        {model::LogNoticeKind::custom_resource_manager, piece.range.from, "130"});
    reader.reindex(piece, [&](const repo::LogPiece&) { return index; });
    try {
        check_restore(world.context(), plan, options);
        FAIL() << "replay would end there";
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::point_not_reachable) << error.what();
        EXPECT_NE(error.message().find("log of b"), std::string::npos) << error.message();
        EXPECT_NE(error.message().find("130"), std::string::npos) << error.message();
        EXPECT_NE(error.hint().find("--preload"), std::string::npos) << error.hint();
    }
    EXPECT_FALSE(std::filesystem::exists(options.dir));
    options.preload = {"its_library"};
    EXPECT_NO_THROW(check_restore(world.context(), plan, options));
}

/// As production it is said while production is still there; in quarantine it is a warning.
TEST(RestorePreflightTest, ProductionWithoutItsConfigurationIsRefusedBeforeAnythingIsWritten)
{
    World world;
    world.let_restores_read();
    world.server(1).set_captured({{"/etc/main/pg_hba.conf", "hba", {}}});
    back_up_group(world.context(), {});
    auto number = place_mark(world.context(), {}).mark.number();
    auto plan = repo::need_plan(repo::plan_restore(world.view(), number));
    base::TempDir dir;
    RestoreOptions options;
    options.dir = dir.path() / "r";
    options.as_production = true;
    auto refused = [&](auto&& what) {
        try {
            what();
            ADD_FAILURE() << "it was not refused";
        } catch (const base::Error& error) {
            EXPECT_EQ(error.code(), base::Code::not_restorable) << error.what();
            EXPECT_NE(error.message().find("of b does not hold /etc/main/pg_hba.conf"),
                      std::string::npos)
                << error.message();
        }
        EXPECT_FALSE(std::filesystem::exists(options.dir));
    };
    refused([&] { check_anywhere(plan, options); });
    refused([&] { check_restore(world.context(), plan, options); });
    refused([&] { restore_group(world.context(), plan, options); });
    options.as_production = false;
    auto told = [](const std::vector<std::string>& warnings) {
        return std::ranges::count_if(warnings, [](const std::string& warning) {
            return warning.find("does not hold /etc/main/pg_hba.conf") != std::string::npos;
        });
    };
    EXPECT_EQ(told(check_anywhere(plan, options)), 1);
    EXPECT_EQ(told(check_restore(world.context(), plan, options)), 1);
    EXPECT_EQ(told(restore_group(world.context(), plan, options).warnings), 1);
}

// rule 22
TEST(RestorePreflightTest, LimitsThatWereRaisedAfterTheBackupAreKept)
{
    World world;
    world.let_restores_read();
    world.work();
    auto number = place_mark(world.context(), {}).mark.number();
    auto plan = repo::need_plan(repo::plan_restore(world.view(), number));
    for (auto& [name, member] : plan.members)
        member.backup.value.identity.settings = {{"max_connections", "300"},
                                                 {"max_prepared_transactions", "10"}};
    const auto& piece = plan.members.at("b").pieces.back().piece;
    repo::LogCatalog catalog;
    catalog.id = {.group = "shop", .member = "b"};
    repo::LogReader reader(world.storage(), catalog);
    auto index = reader.index(piece, {});
    for (const char* change :
         {"max_connections=200 max_worker_processes=12 max_wal_senders=7 "
          "max_prepared_transactions=640 max_locks_per_transaction=128 wal_level=replica",
          // Lowered again, and what no server writes.
          "max_connections=100 max_worker_processes=99x max_wal_senders= "
          "max_prepared_transactions=5 max_locks_per_transaction=-3 wal_level=4"})
        index.notices.push_back({model::LogNoticeKind::parameter_change, piece.range.from, change});
    reader.reindex(piece, [&](const repo::LogPiece&) { return index; });
    base::TempDir dir;
    RestoreOptions options;
    options.dir = dir.path() / "r";
    restore_group(world.context(), plan, options);
    auto limits = [&](const char* member) {
        return world.engine().restored().at(options.dir / member / "data").spec.limits;
    };
    using Limits = std::map<std::string, std::string>;
    EXPECT_EQ(limits("b"), (Limits{{"max_connections", "300"},
                                   {"max_locks_per_transaction", "128"},
                                   {"max_prepared_transactions", "640"},
                                   {"max_wal_senders", "7"},
                                   {"max_worker_processes", "12"}}));
    EXPECT_EQ(limits("a").at("max_prepared_transactions"), "10");
}

/// A plan that was made later may prefer another base backup. Its label must not meet files that
/// the first one wrote.
class OtherBackupTest : public ::testing::Test {
protected:
    OtherBackupTest()
    {
        world_.let_restores_read();
        back_up_group(world_.context(), {});
        world_.work();
        auto mark = place_mark(world_.context(), {}).mark.number();
        view_ = world_.view();
        newer_ = repo::need_plan(repo::plan_restore(view_, mark));
        auto before = view_;
        for (auto& [name, member] : before.members)
            member.backups.erase(member.backups.begin());
        older_ = repo::need_plan(repo::plan_restore(before, mark));
        options_.dir = dir_.path();
    }
    void fail(const char* step, const repo::RestorePlan& plan)
    {
        world_.engine().restored().fail("a", step, {base::Code::failed, "went wrong"});
        EXPECT_THROW(restore_group(world_.context(), plan, options_), base::Error);
    }
    RestoreState state() const
    {
        return load_restore_state(dir_.path() / "a/tidemark/state.json").value();
    }
    std::string label() const
    {
        return world_.engine().restored().at(dir_.path() / "a/data").spec.backup_label;
    }

    base::TempDir dir_{"other"};
    mutable World world_;
    repo::RepositoryView view_;
    repo::RestorePlan newer_, older_;
    RestoreOptions options_;
};

TEST_F(OtherBackupTest, BeforeTheMarkItsFilesAreWrittenAnew)
{
    fail("recover", older_);
    ASSERT_EQ(state().phase, RestorePhase::written);
    auto plan = newer_;
    keep_backups(view_, options_, plan);
    EXPECT_EQ(plan.members.at("a").backup.number(), newer_.members.at("a").backup.number());
    restore_group(world_.context(), plan, options_);
    EXPECT_EQ(state().phase, RestorePhase::handed_over);
    EXPECT_EQ(state().backup, newer_.members.at("a").backup.number());
    EXPECT_EQ(label(), newer_.members.at("a").backup.value.backup_label);
    EXPECT_NE(label(), older_.members.at("a").backup.value.backup_label);
}

TEST_F(OtherBackupTest, AtTheMarkTheFirstOneIsKept)
{
    fail("promote", older_);
    ASSERT_EQ(state().phase, RestorePhase::claimed);
    auto plan = newer_;
    keep_backups(view_, options_, plan);
    EXPECT_EQ(plan.members.at("a").backup.number(), older_.members.at("a").backup.number());
    restore_group(world_.context(), plan, options_);
    EXPECT_EQ(state().backup, older_.members.at("a").backup.number());
    EXPECT_EQ(label(), older_.members.at("a").backup.value.backup_label);
    // Gone meanwhile: said, not papered over; and a copy that is open needs it no more.
    auto gone = view_;
    gone.members.at("a").backups.resize(1);
    auto again = newer_;
    EXPECT_NO_THROW(keep_backups(gone, options_, again));
    auto changed = state();
    changed.phase = RestorePhase::at_mark;
    save_restore_state(dir_.path() / "a/tidemark/state.json", changed);
    EXPECT_THROW(keep_backups(gone, options_, again), base::Error);
}

// rule 29
TEST(RestorePreflightTest, TablespaceMapsLeadToTheVeryFolder)
{
    EXPECT_EQ(tablespace_line(16471, "/r\\b/a b", 150018), "16471 /r\\\\b/a b\n");
    EXPECT_EQ(tablespace_line(16471, "/r\\b/a b", 130011), "16471 /r\\b/a b\n");
    EXPECT_EQ(tablespace_line(16471, "/c\nd\r", 140000), "16471 /c\\\nd\\\r\n");
    EXPECT_EQ(tablespace_line(16471, "/c\nd\r", 130011), "16471 /c\\\nd\\\r\n");
    EXPECT_EQ(tablespace_line(16471, "/b\\", 180000), "16471 /b\\\\\n");
    EXPECT_THROW(tablespace_line(16471, "/b\\", 130011), base::Error);
}

} // namespace
} // namespace tidemark::job
