#include "job/drill.h"

#include "base/error.h"
#include "base/mount_testing.h"
#include "base/temp_dir.h"
#include "job/mark.h"
#include "job/scratch.h"
#include "job/world_testing.h"
#include "repo/log_reader.h"
#include "repo/restore_plan.h"

#include <csignal>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/resource.h>

namespace tidemark::job {
namespace {

namespace fs = std::filesystem;
using base::Code;
using base::Error;
using model::CheckResult;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

class DrillTest : public ::testing::Test {
protected:
    DrillTest()
    {
        world_.let_restores_read();
        mark();
    }

    void mark()
    {
        world_.work();
        auto number = place_mark(world_.context(), {}).mark.number();
        plan_ = repo::need_plan(repo::plan_restore(world_.view(), number));
    }

    DrillOutcome drill(DrillOptions options = {})
    {
        options.parent = dir_.path();
        return drill_group(world_.context(), plan_, options);
    }

    bool nothing_left() const { return fs::is_empty(dir_.path()); }
    static const model::DrillCheck* check(const model::Drill& report, const std::string& name,
                                          const std::string& member)
    {
        for (const auto& one : report.checks) {
            if (one.name == name && one.member == member) return &one;
        }
        return nullptr;
    }
    std::vector<repo::StoredDrill> stored()
    {
        return repo::Drills(world_.storage(), "shop").list();
    }

    base::TempDir dir_;
    World world_;
    repo::RestorePlan plan_;
};

TEST_F(DrillTest, ProvesItsMarkAndLeavesNothing)
{
    auto outcome = drill();
    const auto& report = outcome.report;
    EXPECT_EQ(report.failure, "");
    EXPECT_TRUE(report.proves());
    EXPECT_EQ(outcome.number, 1U);
    EXPECT_THAT(report.proven_by(), ElementsAre("recovery", "in_doubt", "amcheck", "checksums"));
    ASSERT_EQ(report.members.size(), 2U);
    EXPECT_EQ(report.members[0].reached, report.members[0].target);
    EXPECT_FALSE(report.decisions.empty());
    for (const auto& decision : report.decisions)
        EXPECT_EQ(decision.action, "commit") << decision.gid;
    std::vector<std::string> names;
    for (const auto& stage : report.stages)
        names.push_back(stage.member + ":" + stage.name);
    for (const char* stage : {":make room", "a:write files", "a:make durable", "b:replay log",
                              "a:promote", "b:amcheck", "a:stop", "a:checksums", ":tear down"})
        EXPECT_THAT(names, Contains(stage));
    EXPECT_TRUE(nothing_left());
    auto proofs = repo::Drills(world_.storage(), "shop").proofs();
    EXPECT_TRUE(proofs.by_mark.contains(plan_.mark->number()));
    world_.check_whole();
}

TEST_F(DrillTest, TakesNoTimelineAway)
{
    drill();
    auto claims = repo::LogCatalog::load(world_.storage(), {.group = "shop", .member = "a"}).claims;
    EXPECT_TRUE(claims.empty());
}

TEST_F(DrillTest, KeepsTheFilesWhenAsked)
{
    auto outcome = drill({.keep = true});
    ASSERT_TRUE(outcome.kept.has_value());
    auto server = world_.engine().restored().at(*outcome.kept / "a" / "data");
    EXPECT_FALSE(server.running);
    EXPECT_THAT(server.calls, Contains("check_content"));
    EXPECT_THAT(server.calls, Contains("check_pages"));
    // It is nobody's now: the next drill leaves it alone.
    drill();
    EXPECT_TRUE(fs::exists(*outcome.kept / "a"));
}

TEST_F(DrillTest, EveryFaultFailsItAndIsStored)
{
    world_.engine().restored().set_content(
        "a", {.ran = true, .text = "looked", .faults = {"heap table t"}, .fault_count = 7});
    world_.engine().restored().set_pages("b", {.has_checksums = true,
                                               .files = 1,
                                               .pages = 9,
                                               .damaged = {{"base/1/1", 3, "checksum"}},
                                               .damaged_count = 1});
    auto report = drill().report;
    EXPECT_FALSE(report.passed());
    const auto* content = check(report, "amcheck", "a");
    ASSERT_NE(content, nullptr);
    EXPECT_EQ(content->result, CheckResult::failed);
    EXPECT_THAT(content->details, ElementsAre("heap table t"));
    EXPECT_EQ(check(report, "amcheck", "b")->result, CheckResult::passed);
    EXPECT_THAT(check(report, "checksums", "b")->details,
                ElementsAre("base/1/1 block 3: checksum"));
    ASSERT_EQ(stored().size(), 1U);
    EXPECT_EQ(stored()[0].value, report);
    EXPECT_TRUE(nothing_left());
}

// rule 8
TEST_F(DrillTest, WhatProductionLeftHalfThereIsInTheProof)
{
    drill();
    plan_.half_there = {"h is committed at a and rolled back at b"};
    auto report = drill().report;
    EXPECT_TRUE(report.proves());
    EXPECT_EQ(report.half_there, plan_.half_there);
    auto proofs = repo::Drills(world_.storage(), "shop").proofs();
    EXPECT_EQ(proofs.newest->half_there, plan_.half_there);
}

TEST_F(DrillTest, WhatCannotBeCheckedHereIsSaid)
{
    world_.engine().restored().set_content("a", {.ran = false, .text = "not installed"});
    world_.engine().restored().set_pages("a", {});
    auto report = drill().report;
    EXPECT_TRUE(report.proves());
    EXPECT_THAT(report.skipped(), ElementsAre("amcheck", "checksums"));
    EXPECT_THAT(report.proven_by(), ElementsAre("recovery", "in_doubt"));
}

TEST_F(DrillTest, AMarkThatDoesNotComeUpFails)
{
    world_.engine().restored().fail("b", "recover", Error{Code::not_restorable, "a broken frame"});
    auto outcome = drill();
    EXPECT_THAT(outcome.report.failure, HasSubstr("a broken frame"));
    EXPECT_FALSE(outcome.report.restore_took.has_value());
    EXPECT_EQ(check(outcome.report, "recovery", "")->result, CheckResult::failed);
    EXPECT_EQ(stored().size(), 1U);
    EXPECT_TRUE(nothing_left());
}

TEST_F(DrillTest, WhatIsOursToBlameIsNoReport)
{
    for (auto code : {Code::cancelled, Code::out_of_space, Code::member_not_ready}) {
        for (const char* method : {"preflight", "recover", "promote", "check_content"}) {
            world_.engine().restored().fail("a", method, Error{code, "here"});
            EXPECT_THROW(drill(), Error) << method;
            EXPECT_TRUE(nothing_left()) << method;
        }
    }
    EXPECT_TRUE(stored().empty());
}

// Its log holds what no server here can replay: true of the next restore in earnest, too.
TEST_F(DrillTest, WhatIsTrueOfTheMarkIsAReportEvenBeforeTheFirstByte)
{
    const auto& piece = plan_.members.at("b").pieces.back().piece;
    repo::LogCatalog catalog;
    catalog.id = {.group = "shop", .member = "b"};
    repo::LogReader reader(world_.storage(), catalog);
    auto index = reader.index(piece, {});
    index.notices.push_back(
        {model::LogNoticeKind::custom_resource_manager, piece.range.from, "130"});
    reader.reindex(piece, [&](const repo::LogPiece&) { return index; });
    EXPECT_THAT(drill().report.failure, HasSubstr("resource managers 130"));
    EXPECT_EQ(stored().size(), 1U);
    EXPECT_TRUE(nothing_left());
}

TEST_F(DrillTest, AnyOtherTroubleBeforeTheFirstByteIsNoReport)
{
    for (auto code : {Code::failed, Code::not_restorable, Code::log_gap}) {
        world_.engine().restored().fail("a", "preflight", Error{code, "here"});
        try {
            drill();
            EXPECT_NE(code, Code::failed);
        } catch (const Error& error) {
            EXPECT_EQ(code, Code::failed);
            EXPECT_EQ(error.code(), Code::member_not_ready);
        }
        EXPECT_TRUE(nothing_left());
    }
    EXPECT_EQ(stored().size(), 2U);
}

TEST_F(DrillTest, AsksTheAssertionsOfItsMembers)
{
    std::string a = "10", b = "-3";
    world_.engine().restored().set_answers(
        [&](const std::string& member, const std::string& database,
            const std::string& sql) -> std::optional<std::string> {
            EXPECT_EQ(database, "bank");
            if (sql == "SELECT broken") throw Error{Code::failed, "no such column"};
            return member == "a" ? a : b;
        });
    auto assertions = parse_assertions("--! database: bank\n--! check: money\n"
                                       "--! expect: sum constant\nSELECT x;",
                                       "f", {"a", "b"});
    auto first = drill({.assertions = assertions}).report;
    EXPECT_TRUE(first.proves());
    EXPECT_EQ(first.checks.size(), 8U);
    a = "11";
    b = "-4";
    EXPECT_TRUE(drill({.assertions = assertions}).report.passed());
    a = "12";
    auto torn = drill({.assertions = assertions}).report;
    EXPECT_FALSE(torn.passed());
    EXPECT_THAT(check(torn, "assertion", "")->text, HasSubstr("8 instead of 7"));
    // A failed drill is not what later ones compare with.
    EXPECT_THAT(check(drill({.assertions = assertions}).report, "assertion", "")->text,
                HasSubstr("8 instead of 7"));
    auto broken = parse_assertions("--! database: bank\nSELECT broken", "f", {"a", "b"});
    auto report = drill({.assertions = broken}).report;
    EXPECT_FALSE(report.passed());
    EXPECT_THAT(check(report, "assertion", "b")->text, HasSubstr("no such column"));
    EXPECT_TRUE(nothing_left());
}

TEST_F(DrillTest, KeptPreparedIsNotProven)
{
    DrillOptions options;
    options.restore.settle = false;
    auto report = drill(options).report;
    EXPECT_TRUE(report.passed());
    EXPECT_FALSE(report.proves());
}

TEST_F(DrillTest, RemovesWhatAKilledDrillLeftAndNothingElse)
{
    auto make = [&](const std::string& name, const std::string& owner) {
        fs::create_directories(dir_.path() / name / "a" / "data");
        std::ofstream(dir_.path() / name / "owner") << owner;
        return dir_.path() / name;
    };
    const std::string magic = "a drill of tidemark works here\n";
    auto dead = make("tidemark-drill-dead", magic);
    auto alive = make("tidemark-drill-live", magic);
    auto foreign = make("tidemark-drill-else", "notes of mine\n");
    auto other = make("drill", magic);
    auto lock = base::open_read(alive / "owner");
    ASSERT_EQ(::flock(lock.get(), LOCK_EX), 0);
    for (int i = 0; i < 3000; ++i)
        std::ofstream(dead / "a" / "data" / std::to_string(i));
    auto report = drill().report;
    base::Duration cleared{}, opened{};
    for (const auto& stage : report.stages) {
        if (stage.name == "clear away") cleared = stage.took;
        if (stage.name == "amcheck" && opened == base::Duration{}) opened = stage.start;
    }
    EXPECT_GT(cleared, base::Duration{});
    EXPECT_LT(*report.restore_took, opened - cleared / 2)
        << "what a killed drill left counts as time that a restore takes";
    EXPECT_FALSE(fs::exists(dead));
    EXPECT_TRUE(fs::exists(alive));
    EXPECT_TRUE(fs::exists(foreign));
    EXPECT_TRUE(fs::exists(other));
}

TEST_F(DrillTest, ARestoreProvesItsMarkToo)
{
    RestoreOptions options;
    options.dir = dir_.path() / "r";
    auto report = restore_group(world_.context(), plan_, options);
    EXPECT_EQ(record_restore(world_.context(), plan_, report), 1U);
    auto proof = repo::Drills(world_.storage(), "shop").proofs().newest;
    ASSERT_TRUE(proof.has_value());
    EXPECT_EQ(proof->kind, model::DrillKind::restore);
    EXPECT_THAT(proof->by, ElementsAre("recovery", "in_doubt"));
    report.members[0].decisions.push_back(
        {.gid = "g", .global_id = "g", .database = {}, .action = "kept", .evidence = {}});
    EXPECT_FALSE(record_restore(world_.context(), plan_, report).has_value());
}

/// In whatever words things go wrong then.
TEST_F(DrillTest, ADiskThatBecameFullIsNoReport)
{
    const auto place = dir_.path() / "small";
    fs::create_directory(place);
    base::SmallMount disk(place, "size=2g");
    ASSERT_TRUE(disk.mounted() || !base::mounting_is_expected()) << base::kNoMount;
    if (!disk.mounted()) GTEST_SKIP() << base::kNoMount;
    DrillOptions options{.parent = place};
    for (const char* method : {"recover", "check_content"}) {
        disk.change("size=2g");
        world_.engine().restored().set_log_reader([&](const std::string& member, model::Epoch epoch,
                                                      model::Offset from, model::Offset to) {
            disk.change("size=8m"); // the files are there
            auto& server = world_.server(member == "a" ? 0 : 1);
            return server.log(epoch, from, std::min(to, server.insert_position().offset));
        });
        world_.engine().restored().fail("b", method, Error{Code::failed, "it went wrong"});
        try {
            drill_group(world_.context(), plan_, options);
            ADD_FAILURE() << method;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Code::out_of_space) << error.what();
            EXPECT_THAT(error.what(), HasSubstr("has become full"));
            EXPECT_THAT(error.hint(), HasSubstr("--dir"));
        }
        EXPECT_TRUE(fs::is_empty(place)) << method;
    }
    EXPECT_TRUE(stored().empty());
}

/// By its own work or by production's, and never to the last byte.
TEST_F(DrillTest, ADiskOfProductionKeepsItsMargin)
{
    const auto place = dir_.path() / "small";
    fs::create_directory(place);
    base::SmallMount disk(place, "size=2g");
    ASSERT_TRUE(disk.mounted() || !base::mounting_is_expected()) << base::kNoMount;
    if (!disk.mounted()) GTEST_SKIP() << base::kNoMount;
    fs::create_directory(place / "repository");
    DrillOptions options{.parent = place};
    const auto alone = options; // on a disk of its own
    options.restore.repository = place / "repository";
    auto stopped = [&](const std::string& said) {
        try {
            drill_group(world_.context(), plan_, options);
            ADD_FAILURE() << said;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Code::out_of_space) << error.what();
            EXPECT_THAT(error.what(), HasSubstr(said));
            EXPECT_THAT(error.hint(), HasSubstr("--dir"));
        }
        EXPECT_EQ(std::distance(fs::directory_iterator(place), fs::directory_iterator()), 1)
            << said;
    };
    disk.change("size=760m"); // two servers have room, and 248 MiB are left
    stopped("256 MiB stay free for " + (place / "repository").string());
    EXPECT_TRUE(drill_group(world_.context(), plan_, alone).report.proves());
    disk.change("size=2g");
    world_.engine().restored().set_log_reader(
        [&](const std::string& member, model::Epoch epoch, model::Offset from, model::Offset to) {
            disk.change("size=200m"); // somebody takes the rest
            auto& server = world_.server(member == "a" ? 0 : 1);
            return server.log(epoch, from, std::min(to, server.insert_position().offset));
        });
    stopped("less than 256 MiB had come to be free");
    EXPECT_EQ(stored().size(), 1U);
    disk.change("size=2g");
    EXPECT_TRUE(drill_group(world_.context(), plan_, alone).report.proves());
}

/// What it found out about the mark is as true on a disk that ran full meanwhile.
TEST_F(DrillTest, AVerdictOutweighsTheMargin)
{
    const auto place = dir_.path() / "small";
    fs::create_directory(place);
    base::SmallMount disk(place, "size=2g");
    ASSERT_TRUE(disk.mounted() || !base::mounting_is_expected()) << base::kNoMount;
    if (!disk.mounted()) GTEST_SKIP() << base::kNoMount;
    fs::create_directory(place / "repository");
    DrillOptions options{.parent = place};
    options.restore.repository = place / "repository";
    world_.engine().restored().set_log_reader(
        [&](const std::string& member, model::Epoch epoch, model::Offset from, model::Offset to) {
            if (member == "b") {
                disk.change("size=200m"); // less than the margin, and by far not full
                throw Error{Code::not_restorable, "a broken frame"};
            }
            auto& server = world_.server(0);
            return server.log(epoch, from, std::min(to, server.insert_position().offset));
        });
    EXPECT_THAT(drill_group(world_.context(), plan_, options).report.failure,
                HasSubstr("a broken frame"));
    EXPECT_EQ(stored().size(), 1U);
}

TEST_F(DrillTest, DoesNotBeginWhereTheLogCouldFillTheDisk)
{
    plan_.members.at("a").log_bytes = 1ULL << 60;
    try {
        drill();
        ADD_FAILURE();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::out_of_space) << error.what();
        EXPECT_THAT(error.what(), HasSubstr("for what the log adds"));
    }
    EXPECT_TRUE(nothing_left());
}

TEST(ScratchTest, NeedsRoom)
{
    base::TempDir dir;
    EXPECT_NO_THROW(require_space(dir.path(), 1, "all"));
    EXPECT_THROW(require_space(dir.path(), 1ULL << 60, "all"), Error);
}

TEST(ScratchTest, OneThatIsNotMadeWholeIsRemoved)
{
    base::TempDir dir;
    struct rlimit before = {};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    auto* handler = std::signal(SIGXFSZ, SIG_IGN);
    struct rlimit full = {.rlim_cur = 0, .rlim_max = before.rlim_max}; // no file may grow
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &full), 0);
    bool made = true;
    try {
        Scratch scratch(dir.path(), {});
    } catch (const Error&) {
        made = false;
    }
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
    EXPECT_FALSE(made);
    EXPECT_TRUE(fs::is_empty(dir.path()));
}

} // namespace
} // namespace tidemark::job
