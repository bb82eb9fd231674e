#include "job/restore_places.h"

#include "base/error.h"
#include "base/fd.h"
#include "base/mount_testing.h"
#include "base/plain_user_testing.h"
#include "base/temp_dir.h"
#include "job/backup.h"
#include "job/mark.h"
#include "job/restore.h"
#include "job/world_testing.h"

#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tidemark::job {
namespace {

namespace fs = std::filesystem;
using base::Code;
using base::Error;
using testing::HasSubstr;

class RestorePlacesTest : public ::testing::Test {
protected:
    RestorePlacesTest()
    {
        auto number = place_mark(world_.context(), {}).mark.number();
        plan_ = repo::need_plan(repo::plan_restore(world_.view(), number));
        for (auto& [name, member] : plan_.members)
            member.backup.value.facts.tablespaces = {{16385, "/fast"}, {16386, "/slow"}};
        options_.dir = dir_.path() / "r";
        options_.repository = dir_.path() / "repo";
        fs::create_directory(options_.repository);
    }
    fs::path at(const std::string& name) const { return dir_.path() / name; }
    void expect(Code code, const std::string& words = {})
    {
        try {
            check_places(plan_, options_);
            EXPECT_EQ(code, Code::ok) << words;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), code) << error.what();
            EXPECT_THAT(error.what(), HasSubstr(words));
        }
    }

    base::TempDir dir_{"places"};
    World world_;
    repo::RestorePlan plan_;
    RestoreOptions options_;
};

TEST_F(RestorePlacesTest, EachNeedsAFolderOfItsOwn)
{
    expect(Code::ok);
    options_.map = {{"a", at("x")}, {"b", at("x")}};
    expect(Code::usage, "member a and member b");
    options_.map = {{"a", at("x")}, {"b", at("x/data")}};
    expect(Code::usage, "member a and member b");
    options_.map = {{"a", at("x")}, {"b", at("xy")}};
    expect(Code::ok);
    fs::create_directory_symlink("x", at("link"));
    options_.map = {{"a", at("x")}, {"b", at("link/../link")}};
    expect(Code::usage, "member a and member b");
}

TEST_F(RestorePlacesTest, TablespacesToo)
{
    auto& spaces = options_.tablespaces;
    spaces[{"a", 16385}] = at("ts");
    expect(Code::ok);
    spaces[{"a", 16386}] = at("ts");
    expect(Code::usage, "tablespace 16385 of a and tablespace 16386 of a");
    spaces[{"a", 16386}] = at("ts/below");
    expect(Code::usage, "tablespace 16386 of a");
    for (const char* taken : {"r/a/data/base/x", "r/b", "r/b/tablespaces/16385", "r"}) {
        spaces = {{{"a", 16385}, at(taken)}};
        expect(Code::usage, "tablespace 16385 of a");
    }
    spaces = {{{"a", 16385}, at("r/a/tablespaces/fast")}};
    expect(Code::ok);
}

TEST_F(RestorePlacesTest, TablespacesAreNamedAsTheyAre)
{
    auto& spaces = options_.tablespaces;
    spaces = {{{"a", 99}, at("ts")}};
    expect(Code::usage, "no such tablespace");
    spaces = {{{"z", 16385}, at("ts")}};
    expect(Code::usage, "no such member");
    spaces = {{{"a", 16385}, "ts"}};
    expect(Code::usage, "no absolute path");
    // Restored on another host, with the same words there.
    plan_.members.erase("b");
    spaces = {{{"b", 16385}, at("ts")}};
    expect(Code::ok);
}

TEST_F(RestorePlacesTest, NothingGoesIntoTheRepositoryOrAroundIt)
{
    options_.dir = at("repo/x");
    expect(Code::usage, "the repository is");
    options_.dir = at("r");
    options_.map["a"] = dir_.path();
    expect(Code::usage);
    options_.map = {{"a", at("x")}, {"b", at("y")}};
    options_.dir = at("repo");
    expect(Code::usage, "the report");
    options_.dir = dir_.path();
    expect(Code::ok);
}

TEST_F(RestorePlacesTest, NothingGoesIntoADataDirectory)
{
    for (const char* sign : {"PG_VERSION", "postmaster.pid"}) {
        fs::create_directories(at("live/base"));
        std::ofstream(at("live") / sign) << "15\n";
        options_.dir = at("live");
        expect(Code::target_not_empty, at("live").string());
        options_.dir = at("live/base/new");
        expect(Code::target_not_empty, at("live").string());
        options_.dir = at("r");
        options_.tablespaces[{"a", 16385}] = at("live/base/new");
        expect(Code::target_not_empty, at("live").string());
        options_.tablespaces.clear();
        fs::remove_all(at("live"));
    }
}

TEST_F(RestorePlacesTest, WeMustBeAbleToWriteThere)
{
    ASSERT_EQ(::chmod(dir_.path().c_str(), 0711), 0);
    fs::create_directory(at("locked"));
    for (mode_t mode : {0555U, 0U}) {
        ASSERT_EQ(::chmod(at("locked").c_str(), mode), 0);
        base::PlainRights plain;
        for (const char* dir : {"locked", "locked/new", "locked/new/below"}) {
            options_.dir = at(dir);
            expect(Code::member_not_ready, "cannot write in " + at("locked").string() + ":");
        }
    }
    ASSERT_EQ(::chmod(at("locked").c_str(), 0777), 0);
    base::PlainRights plain;
    expect(Code::ok);
}

TEST_F(RestorePlacesTest, TheServersUserMustGetThere)
{
    if (::geteuid() != 0) GTEST_SKIP() << "only root runs servers as somebody else";
    options_.user = "nobody";
    ASSERT_EQ(::chmod(dir_.path().c_str(), 0711), 0);
    expect(Code::ok);
    fs::create_directory(at("closed"));
    ASSERT_EQ(::chmod(at("closed").c_str(), 0700), 0);
    options_.dir = at("closed/r");
    expect(Code::member_not_ready, at("closed").string());
    ASSERT_EQ(::chmod(at("closed").c_str(), 0711), 0);
    expect(Code::ok);
}

// rule 29: the server's user runs a copy of our program, which lies beside the data
TEST_F(RestorePlacesTest, WhereNoProgramRunsTheInstalledOneMustDo)
{
    if (::geteuid() != 0) GTEST_SKIP() << "only root runs servers as somebody else";
    options_.user = "nobody";
    ASSERT_EQ(::chmod(dir_.path().c_str(), 0711), 0);
    fs::create_directory(at("disk"));
    base::SmallMount disk(at("disk").native(), "size=1m,mode=0755");
    ASSERT_TRUE(disk.mounted() || !base::mounting_is_expected()) << base::kNoMount;
    if (!disk.mounted()) GTEST_SKIP() << base::kNoMount;
    options_.map["b"] = at("disk/b");
    options_.helper = at("closed");
    std::ofstream(at("closed")) << "#!/bin/sh\n";
    ASSERT_EQ(::chmod(at("closed").c_str(), 0700), 0);
    EXPECT_TRUE(runs_programs(at("disk/b")));
    expect(Code::ok);
    ASSERT_EQ(::mount(nullptr, at("disk").c_str(), nullptr, MS_REMOUNT | MS_NOEXEC, "size=1m"), 0);
    EXPECT_FALSE(runs_programs(at("disk/b")));
    EXPECT_TRUE(runs_programs(at("x")));
    expect(Code::member_not_ready, "member b would lie in " + at("disk/b").string() +
                                       ", where no program can be run (mounted noexec)");
    ASSERT_EQ(::chmod(at("closed").c_str(), 0755), 0);
    expect(Code::ok);
}

/// A member with a tablespace, and the folder that is production's on this very host.
class RestoredTablespaceTest : public ::testing::Test {
protected:
    void restore()
    {
        world_.let_restores_read();
        world_.server(0).set_file("pg_tblspc/16385/f", base::to_bytes("in a tablespace"));
        back_up_group(world_.context(), {});
        auto number = place_mark(world_.context(), {}).mark.number();
        auto plan = repo::need_plan(repo::plan_restore(world_.view(), number));
        auto& facts = plan.members.at("a").backup.value.facts;
        facts.tablespaces = {{16385, production_.string()}};
        options_.dir = dir_.path() / "r";
        restore_group(world_.context(), plan, options_);
    }
    void expect_in(const fs::path& place)
    {
        auto spec = world_.engine().restored().at(options_.dir / "a/data").spec;
        EXPECT_EQ(spec.tablespace_map, "16385 " + place.string() + "\n");
        ASSERT_TRUE(fs::is_regular_file(place / "f"));
        EXPECT_EQ(base::as_text(base::read_file(place / "f", 100)), "in a tablespace");
        EXPECT_FALSE(fs::exists(production_)) << "never silently at the original path";
        EXPECT_FALSE(fs::exists(options_.dir / "a/data/pg_tblspc/16385/f"));
    }

    base::TempDir dir_{"spaces"};
    fs::path production_ = dir_.path() / "fast";
    World world_;
    RestoreOptions options_;
};

// rule 29
TEST_F(RestoredTablespaceTest, LiesBelowTheTarget)
{
    restore();
    expect_in(options_.dir / "a/tablespaces/16385");
}

// rule 29
TEST_F(RestoredTablespaceTest, LiesWhereItIsMapped)
{
    options_.tablespaces[{"a", 16385}] = dir_.path() / "mapped";
    restore();
    expect_in(dir_.path() / "mapped");
    EXPECT_FALSE(fs::exists(options_.dir / "a/tablespaces/16385"));
}

} // namespace
} // namespace tidemark::job
