#include "engine/postgres/hand_over.h"

#include "base/error.h"
#include "base/fd.h"
#include "base/temp_dir.h"
#include "engine/postgres/restore_work.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::engine::postgres {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

/// As a server has them whose configuration lies outside its data directory.
std::vector<CapturedFile> debian_files()
{
    return {
        {"/etc/pg/postgresql.conf", "config",
         "data_directory = '/old'\nhba_file = '/etc/pg/pg_hba.conf'\narchive_mode = on\n"
         "include_dir 'conf.d'\ninclude '/etc/shared.conf'\nrecovery_target_time = '2020-01-01'\n"},
        {"/etc/pg/conf.d/10.conf", "include", "ident_file = '/etc/pg/pg_ident.conf'\n"},
        {"/etc/shared.conf", "include", "include 'deeper.conf'\n"},
        {"/etc/deeper.conf", "include", "work_mem = 1\n"},
        {"/etc/pg/pg_hba.conf", "hba", "local all all peer\n"},
        {"/etc/ssl/key", "tls", {}},
    };
}

struct HandOverTest : ::testing::Test {
    base::TempDir dir{"tmho"};
    TargetFolder data{dir.path(), std::nullopt};
    HandOver result;

    static ServerSetup setup(const std::filesystem::path& at)
    {
        ServerSetup setup;
        setup.purpose = ServerPurpose::keep;
        setup.major = 15;
        setup.data_dir = at;
        setup.socket_dir = at;
        setup.preload_libraries = {"timescaledb"};
        return setup;
    }
    std::string at(const char* name) const { return (dir.path() / name).native(); }
};

// rule 27
TEST_F(HandOverTest, QuarantineKeepsTheOriginalsAndSaysWhatIsOff)
{
    data.write("postgresql.conf", "archive_mode = on\narchive_command = 'aws --key SECRET'\n"
                                  "shared_preload_libraries = 'pg_cron, timescaledb'\n"
                                  "cron.database_name = 'x'\nwork_mem = '1GB'\n");
    data.write("postgresql.auto.conf.from-backup", "primary_conninfo = 'password=SECRET'\n");
    data.write("pg_hba.conf", "host all all 0.0.0.0/0 trust\n");
    for (int pass = 0; pass < 2; ++pass) { // repeated after a crash
        result = {};
        write_quarantine(data, setup(dir.path()), {}, result);
        EXPECT_THAT(
            result.neutralised,
            IsSupersetOf({"archive_mode = on is not in force", "archive_command is not in force",
                          "primary_conninfo is not in force", "library pg_cron is not preloaded",
                          "cron.database_name is not in force"}));
        EXPECT_THAT(result.neutralised, Not(Contains(HasSubstr("SECRET"))));
        EXPECT_THAT(result.neutralised, Not(Contains(HasSubstr("timescaledb"))));
        EXPECT_THAT(*data.read("postgresql.conf"), HasSubstr("archive_mode = 'off'"));
        EXPECT_THAT(*data.read("postgresql.conf.from-backup"), HasSubstr("pg_cron"));
        EXPECT_THAT(*data.read("pg_hba.conf.from-backup"), HasSubstr("0.0.0.0/0"));
        EXPECT_THAT(*data.read("pg_hba.conf"), Not(HasSubstr("0.0.0.0/0")));
    }
}

// rule 27
TEST_F(HandOverTest, QuarantineLeavesTheCapturedConfigurationReadyBeside)
{
    // What initdb left there was never in force.
    data.write("postgresql.conf", "work_mem = '99MB'\n");
    data.write("pg_hba.conf", "host all all 0.0.0.0/0 trust\n");
    data.write("postgresql.auto.conf.from-backup",
               "primary_conninfo = 'password=SECRET'\nwork_mem = 2\n");
    HandOver production;
    for (int pass = 0; pass < 2; ++pass) { // repeated after a crash
        result = {};
        write_quarantine(data, setup(dir.path()), debian_files(), result);
        EXPECT_THAT(*data.read("postgresql.conf"), HasSubstr("archive_mode = 'off'"));
        EXPECT_THAT(*data.read("pg_hba.conf"), Not(HasSubstr("peer")));
        auto conf = *data.read("postgresql.conf.from-backup");
        EXPECT_THAT(conf, HasSubstr("data_directory = '" + dir.path().native() + "'\n"));
        EXPECT_THAT(conf, HasSubstr("archive_mode = on\n"));
        EXPECT_THAT(conf, HasSubstr("include_dir '" + at("captured/etc/pg/conf.d") + "'\n"));
        EXPECT_THAT(conf, Not(HasSubstr("99MB")));
        EXPECT_THAT(*data.read("captured/etc/pg/conf.d/10.conf"), HasSubstr(at("pg_ident.conf")));
        EXPECT_EQ(data.read("pg_hba.conf.from-backup"), "local all all peer\n");
        EXPECT_THAT(*data.read("postgresql.auto.conf.from-backup"),
                    HasSubstr("#primary_conninfo = 'password=SECRET'\nwork_mem = 2\n"));
        EXPECT_THAT(
            result.changed_lines,
            Contains(HasSubstr("postgresql.conf.from-backup: data_directory = '/old' -> ")));
        EXPECT_THAT(result.changed_lines, Not(Contains(HasSubstr("SECRET"))));
        EXPECT_EQ(result.changed_lines.size(), 8U);
        EXPECT_THAT(result.neutralised, IsSupersetOf({"archive_mode = on is not in force",
                                                      "primary_conninfo is not in force"}));
    }
    // In another mode afterwards: the same lines are changed and listed.
    write_production(data, debian_files(), production);
    EXPECT_EQ(production.changed_lines.size(), 8U);
}

// rule 27
TEST_F(HandOverTest, FilesOfTheDataDirectoryAreFittedAndKeptAsTheyWere)
{
    const std::string own = "hba_file = '/old/pg_hba.conf'\nwork_mem = '7MB'\n";
    data.write("postgresql.conf", own);
    for (int pass = 0; pass < 2; ++pass) {
        result = {};
        write_quarantine(data, setup(dir.path()), {}, result);
        auto beside = *data.read("postgresql.conf.from-backup");
        EXPECT_THAT(beside, HasSubstr("hba_file = '" + at("pg_hba.conf") + "'\nwork_mem = '7MB'"));
        EXPECT_EQ(data.read("postgresql.conf.from-backup.original"), own);
        EXPECT_EQ(result.changed_lines.size(), 1U);
    }
    // Put back by a person, who goes on with it: theirs is kept, and nothing older comes back.
    const auto edited = *data.read("postgresql.conf.from-backup") + "work_mem = '8MB'\n";
    data.write("postgresql.conf", edited);
    write_quarantine(data, setup(dir.path()), {}, result);
    EXPECT_EQ(data.read("postgresql.conf.from-backup"), edited);
    EXPECT_EQ(data.read("postgresql.conf.from-backup.original.kept"), own);
}

// rule 27
TEST_F(HandOverTest, WhatPeopleMadeOfTheCapturedConfigurationIsKept)
{
    const auto captured = debian_files();
    const std::string include = "captured/etc/pg/conf.d/10.conf";
    write_quarantine(data, setup(dir.path()), captured, result);
    EXPECT_THAT(result.kept_files, IsEmpty());
    const auto conf = *data.read("postgresql.conf.from-backup");
    // As the guide says: put back, and gone on with.
    std::filesystem::rename(at("postgresql.conf.from-backup"), at("postgresql.conf"));
    data.write("postgresql.conf", conf + "work_mem = '8MB'\n");
    data.write("pg_hba.conf", "local all app md5\n");
    data.write("pg_hba.conf.from-backup", "local all beside md5\n");
    data.write(include, "work_mem = '9MB'\n");
    for (int pass = 0; pass < 2; ++pass) { // repeated after a crash
        result = {};
        write_quarantine(data, setup(dir.path()), captured, result);
        EXPECT_THAT(result.kept_files,
                    UnorderedElementsAre("postgresql.conf.kept", "pg_hba.conf.kept",
                                         "pg_hba.conf.from-backup.kept", include + ".kept"));
        EXPECT_EQ(data.read("postgresql.conf.kept"), conf + "work_mem = '8MB'\n");
        EXPECT_EQ(data.read("pg_hba.conf.kept"), "local all app md5\n");
        EXPECT_EQ(data.read("pg_hba.conf.from-backup.kept"), "local all beside md5\n");
        EXPECT_EQ(data.read(include + ".kept"), "work_mem = '9MB'\n");
        EXPECT_EQ(data.read("postgresql.conf.from-backup"), conf);
        EXPECT_EQ(data.read("pg_hba.conf.from-backup"), "local all all peer\n");
        EXPECT_THAT(*data.read("postgresql.conf"), HasSubstr("archive_mode = 'off'"));
        EXPECT_FALSE(data.exists("pg_hba.conf.kept-2"));
        EXPECT_FALSE(data.exists(include + ".kept-2"));
    }
    data.write("pg_hba.conf", "local all other md5\n");
    result = {};
    write_production(data, captured, result);
    EXPECT_THAT(result.kept_files, IsSupersetOf({"pg_hba.conf.kept", "pg_hba.conf.kept-2"}));
    EXPECT_EQ(data.read("pg_hba.conf.kept"), "local all app md5\n");
    EXPECT_EQ(data.read("pg_hba.conf.kept-2"), "local all other md5\n");
    // What bears our mark can be edited, too.
    const auto production = *data.read("pg_hba.conf");
    EXPECT_THAT(production, HasSubstr("local all all peer\n"));
    data.write("pg_hba.conf", production + "local all more md5\n");
    result = {};
    write_production(data, captured, result);
    EXPECT_EQ(data.read("pg_hba.conf"), production + "local all more md5\n");
    EXPECT_FALSE(data.exists("pg_hba.conf.kept-3"));
    EXPECT_THAT(result.changed_lines,
                Contains("pg_hba.conf: changed since the hand-over before, in force"));
}

// "Mend what it names, then run the same command again."
TEST_F(HandOverTest, WhatWasMendedAsProductionIsInForce)
{
    const auto captured = debian_files();
    const std::string include = "captured/etc/pg/conf.d/10.conf";
    write_production(data, captured, result);
    const auto conf = *data.read("postgresql.conf");
    data.write("postgresql.conf", conf + "port = 5872\n");
    data.write(include, "work_mem = '9MB'\n");
    for (int pass = 0; pass < 2; ++pass) { // repeated after a crash
        result = {};
        write_production(data, captured, result);
        EXPECT_EQ(data.read("postgresql.conf"), conf + "port = 5872\n");
        EXPECT_EQ(data.read(include), "work_mem = '9MB'\n");
        EXPECT_THAT(result.kept_files, IsEmpty());
        EXPECT_THAT(
            result.changed_lines,
            UnorderedElementsAre("postgresql.conf: changed since the hand-over before, in force",
                                 include + ": changed since the hand-over before, in force",
                                 HasSubstr("/etc/shared.conf: include")));
    }
    // Quarantine puts nothing of that in force, and loses nothing.
    write_quarantine(data, setup(dir.path()), captured, result);
    EXPECT_EQ(data.read("postgresql.conf.kept"), conf + "port = 5872\n");
    EXPECT_EQ(data.read(include + ".kept"), "work_mem = '9MB'\n");
}

// rule 27
TEST_F(HandOverTest, IncludesThatTheBackupLacksBecomeRemarks)
{
    data.make_folder("extra.d");
    data.write("inner.conf", "work_mem = '3MB'\n");
    const std::vector<CapturedFile> captured = {
        {"/etc/pg/postgresql.conf", "config",
         "data_directory = '/old/'\ninclude_dir = 'conf.d'\ninclude 'unread.conf'\n"
         "include '/srv/far.conf'\ninclude_if_exists '/etc/maybe.conf'\n"
         "include '/old/inner.conf'\ninclude_dir '/old/extra.d/'\ninclude '/old/gone.conf'\n"
         "include '/older/inner.conf'\n"},
        {"/etc/pg/unread.conf", "include", {}},
    };
    write_quarantine(data, setup(dir.path()), captured, result);
    EXPECT_THAT(*data.read("postgresql.conf.from-backup"),
                HasSubstr("#include_dir = 'conf.d'\n#include 'unread.conf'\n"
                          "#include '/srv/far.conf'\n#include_if_exists '/etc/maybe.conf'\n"
                          "include '" +
                          at("inner.conf") + "'\ninclude_dir '" + at("extra.d/") +
                          "'\n#include '/old/gone.conf'\n#include '/older/inner.conf'\n"));
    EXPECT_THAT(result.changed_lines,
                Contains("postgresql.conf.from-backup: include_dir = 'conf.d' -> a remark: the "
                         "backup holds nothing of it"));
    EXPECT_EQ(result.changed_lines.size(), 9U);
}

// rule 27
TEST_F(HandOverTest, IncludesOfTheDataDirectoryStay)
{
    const std::string own = "include 'mine.conf'\ninclude_dir 'mine.d'\n";
    data.write("postgresql.conf", own + "include '/etc/far.conf'\ninclude '../near.conf'\n");
    write_quarantine(data, setup(dir.path()), {}, result);
    EXPECT_EQ(result.changed_lines.size(), 2U);
    EXPECT_THAT(*data.read("postgresql.conf.from-backup"),
                HasSubstr(own + "#include '/etc/far.conf'\n#include '../near.conf'\n"));
}

// rule 27
TEST_F(HandOverTest, WhatAnEarlierRestoreWroteIsTheBackupsOwn)
{
    data.write("postgresql.conf", "work_mem = 1\n");
    data.write("pg_hba.conf", "local all first md5\n");
    write_production(data, {}, result);
    data.write("pg_hba.conf", *data.read("pg_hba.conf") + "local all second md5\n");
    ASSERT_EQ(data.read("pg_hba.conf.from-backup"), "local all first md5\n");
    // Backed up, and restored.
    data.write("postgresql.auto.conf", "work_mem = 2\n");
    for (int pass = 0; pass < 2; ++pass) { // repeated after a crash
        adopt_configuration(data);
        data.set_aside("postgresql.auto.conf");
    }
    EXPECT_EQ(data.read("postgresql.auto.conf.from-backup"), "work_mem = 2\n");
    EXPECT_FALSE(data.exists("pg_hba.conf.from-backup"));
    write_quarantine(data, setup(dir.path()), {}, result);
    EXPECT_THAT(*data.read("pg_hba.conf.from-backup"), HasSubstr("local all second md5\n"));
    EXPECT_THAT(*data.read("pg_hba.conf"), Not(HasSubstr("second")));
    write_production(data, {}, result);
    EXPECT_THAT(*data.read("pg_hba.conf"), HasSubstr("local all second md5\n"));
}

// The grammar of hba files knows no single quotes (hba.c, next_token).
TEST_F(HandOverTest, IncludesOfAccessRulesAreQuotedAsTheServerReadsThem)
{
    write_quarantine(data, setup(dir.path()),
                     {{"/etc/pg/pg_hba.conf", "hba", "include more.hba\nlocal @dbs all peer\n"},
                      {"/etc/pg/more.hba", "include", "include most.hba\n"},
                      {"/etc/pg/most.hba", "include", "local all @\"some users\" peer\n"},
                      {"/etc/pg/some users", "include", "ann, @sub/others\n"},
                      {"/etc/pg/sub/others", "include", "bob\n"},
                      {"/etc/pg/dbs", "include", "shop\n"}},
                     result);
    EXPECT_THAT(*data.read("pg_hba.conf.from-backup"),
                HasSubstr("\ninclude \"" + at("captured/etc/pg/more.hba") + "\"\nlocal @\"" +
                          at("captured/etc/pg/dbs") + "\" all peer\n"));
    EXPECT_EQ(data.read("captured/etc/pg/more.hba"),
              "include \"" + at("captured/etc/pg/most.hba") + "\"\n");
    EXPECT_EQ(data.read("captured/etc/pg/most.hba"),
              "local all @\"" + at("captured/etc/pg/some users") + "\" peer\n");
    EXPECT_EQ(data.read("captured/etc/pg/some users"),
              "ann, @\"" + at("captured/etc/pg/sub/others") + "\"\n");
    EXPECT_EQ(result.changed_lines.size(), 5U);
}

// rule 27
TEST_F(HandOverTest, IncludedAccessRulesRejectWhereTheirFileIsLost)
{
    write_quarantine(data, setup(dir.path()),
                     {{"/etc/pg/pg_hba.conf", "hba", "include more.hba\n"},
                      {"/etc/pg/more.hba", "include", "local @dbs a peer\n"},
                      {"/etc/pg/dbs", "include", "shop\n@lost\n"},
                      {"/etc/pg/pg_ident.conf", "ident", "include lost\n"}},
                     result);
    EXPECT_EQ(data.read("captured/etc/pg/more.hba"),
              "local all,replication a reject\n#local @dbs a peer\n");
    EXPECT_EQ(data.read("captured/etc/pg/dbs"), "shop\n#@lost\n");
    EXPECT_THAT(*data.read("pg_ident.conf.from-backup"), HasSubstr("\n#include lost\n"));
}

// rule 29
TEST_F(HandOverTest, CapturedPathsStayBelowTheirFolder)
{
    write_quarantine(data, setup(dir.path()),
                     {{"../../outside.conf", "include", "work_mem = 1\n"},
                      {"/../up.conf", "include", "work_mem = 2\n"}},
                     result);
    EXPECT_EQ(data.read("captured/outside.conf"), "work_mem = 1\n");
    EXPECT_EQ(data.read("captured/up.conf"), "work_mem = 2\n");
    EXPECT_FALSE(std::filesystem::exists(dir.path().parent_path() / "outside.conf"));
}

TEST_F(HandOverTest, ProductionIsMovedToItsNewPlace)
{
    const auto captured = debian_files();
    data.write("postgresql.auto.conf.from-backup",
               "primary_conninfo = 'password=SECRET'\nwork_mem = 2\n");
    for (int pass = 0; pass < 2; ++pass) {
        result = {};
        write_production(data, captured, result);
        auto conf = *data.read("postgresql.conf");
        EXPECT_THAT(conf, HasSubstr("data_directory = '" + dir.path().native() + "'\n"));
        EXPECT_THAT(conf, HasSubstr("hba_file = '" + at("pg_hba.conf") + "'\n"));
        EXPECT_THAT(conf, HasSubstr("archive_mode = on\n"));
        EXPECT_THAT(conf, HasSubstr("include_dir '" + at("captured/etc/pg/conf.d") + "'\n"));
        EXPECT_THAT(conf, HasSubstr("include '" + at("captured/etc/shared.conf") + "'\n"));
        EXPECT_THAT(conf, HasSubstr("#recovery_target_time"));
        EXPECT_THAT(*data.read("captured/etc/pg/conf.d/10.conf"), HasSubstr(at("pg_ident.conf")));
        EXPECT_THAT(*data.read("captured/etc/shared.conf"),
                    HasSubstr(at("captured/etc/deeper.conf")));
        EXPECT_THAT(*data.read("postgresql.auto.conf"), HasSubstr("#primary_conninfo"));
        EXPECT_THAT(*data.read("postgresql.auto.conf"), HasSubstr("work_mem = 2\n"));
        EXPECT_THAT(*data.read("pg_hba.conf"), HasSubstr("local all all peer\n"));
        EXPECT_THAT(result.changed_lines,
                    Contains(HasSubstr("postgresql.conf: data_directory = '/old' -> ")));
        EXPECT_THAT(result.changed_lines, Not(Contains(HasSubstr("SECRET"))));
        EXPECT_EQ(result.changed_lines.size(), 8U);
    }
}

TEST_F(HandOverTest, ProductionWithoutItsConfigurationIsRefused)
{
    try {
        write_production(data, {}, result);
        FAIL();
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::not_restorable);
    }
}

TEST_F(HandOverTest, FoldersAreEmptiedWithoutFollowingLinks)
{
    auto outside = dir.path() / "outside";
    std::filesystem::create_directories(outside);
    base::replace_file(outside / "keep", base::as_bytes("x"));
    data.make_folder("pg_wal");
    data.make_folder("pg_wal/archive_status");
    std::filesystem::create_directory_symlink(outside, dir.path() / "pg_wal/link");
    data.empty("pg_wal");
    EXPECT_TRUE(std::filesystem::is_empty(dir.path() / "pg_wal"));
    EXPECT_TRUE(std::filesystem::exists(outside / "keep"));
    std::filesystem::create_directory_symlink(outside, dir.path() / "pg_replslot");
    EXPECT_THROW(data.empty("pg_replslot"), base::Error);
    EXPECT_TRUE(std::filesystem::exists(outside / "keep"));
}

TEST(RestoreMemoryTest, SurvivesTheFile)
{
    RestoreMemory memory;
    memory.goal.position = 0x16B374D848;
    memory.goal.epoch = 7;
    memory.restore_command = "/usr/bin/tidemark fetch 'it''s' \"%p\" %f \\";
    memory.superuser = "o'brien";
    memory.database = "it's = open";
    memory.limits = {{"max_connections", "100"}, {"max_prepared_transactions", "64"}};
    memory.collations = {{"c:en_US.UTF-8", "2.36"}, {"i:de=x", "153.14"}};
    auto read = parse_memory(format_memory(memory));
    EXPECT_EQ(read.goal.position, memory.goal.position);
    EXPECT_EQ(read.goal.epoch, 7U);
    EXPECT_EQ(read.restore_command, memory.restore_command);
    EXPECT_EQ(read.superuser, memory.superuser);
    EXPECT_EQ(read.database, memory.database);
    EXPECT_EQ(read.limits, memory.limits);
    EXPECT_EQ(read.collations, memory.collations);
    RestoreMemory timed;
    timed.goal.time = base::parse_time("2026-11-22 17:00:00.5");
    timed.goal.epoch = 1;
    EXPECT_EQ(parse_memory(format_memory(timed)).goal.time, timed.goal.time);
}

} // namespace
} // namespace tidemark::engine::postgres
