// What a repeated hand-over makes of the files of the one before.

#include "engine/postgres/hand_over.h"

#include "base/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::engine::postgres {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

struct HandOverAgainTest : ::testing::Test {
    base::TempDir dir{"tmha"};
    TargetFolder data{dir.path(), std::nullopt};
    HandOver result;
};

TEST_F(HandOverAgainTest, WhatNobodyChangedFollowsTheHost)
{
    const auto tls = "ssl = on\nssl_cert_file = '" + (dir.path() / "cert").native() + "'\n";
    const std::vector<CapturedFile> captured = {
        {"/etc/pg/postgresql.conf", "config", tls + "include 'tls.conf'\n"},
        {"/etc/pg/tls.conf", "include", tls},
        {"/etc/pg/pg_hba.conf", "hba", "local all all peer\n"}};
    write_production(data, captured, result);
    for (const char* name : {"postgresql.conf", "captured/etc/pg/tls.conf"})
        EXPECT_THAT(*data.read(name), HasSubstr("\nssl = 'off'\n")) << name;
    data.write("cert", "mended on this host");
    for (int pass = 0; pass < 2; ++pass) { // repeated after a crash
        result = {};
        write_production(data, captured, result);
        for (const char* name : {"postgresql.conf", "captured/etc/pg/tls.conf"})
            EXPECT_THAT(*data.read(name), HasSubstr(").\nssl = on\n")) << name;
        EXPECT_THAT(result.changed_lines,
                    UnorderedElementsAre(HasSubstr("postgresql.conf: include ")));
        EXPECT_THAT(result.kept_files, IsEmpty());
    }
    ServerSetup setup;
    setup.purpose = ServerPurpose::keep;
    setup.major = 15;
    setup.data_dir = setup.socket_dir = dir.path();
    // From one mode to the other nothing of ours is kept as if it were a person's.
    for (const bool production : {false, true}) {
        result = {};
        if (production)
            write_production(data, captured, result);
        else
            write_quarantine(data, setup, captured, result);
        EXPECT_FALSE(data.exists("captured/etc/pg/tls.conf.kept"));
    }
}

// rule 27: until PostgreSQL 14, and Debian sets it; production's own server may still write there
TEST_F(HandOverAgainTest, StatisticsAreNotWrittenWhereProductionWritesThem)
{
    const auto there = dir.path() / "15-main.pg_stat_tmp";
    std::filesystem::create_directory(there);
    const auto line = "stats_temp_directory = '" + there.native() + "'\n";
    const std::vector<CapturedFile> captured = {
        {"/etc/pg/postgresql.conf", "config", line + "include 'more.conf'\n"},
        {"/etc/pg/more.conf", "include", line},
        {"/etc/pg/pg_hba.conf", "hba", "local all all peer\n"}};
    for (int pass = 0; pass < 2; ++pass) { // repeated after a crash
        result = {};
        write_production(data, captured, result);
        for (const char* name : {"postgresql.conf", "captured/etc/pg/more.conf"}) {
            EXPECT_THAT(*data.read(name), HasSubstr("\n#" + line)) << name;
            EXPECT_THAT(*data.read(name), Not(HasSubstr("\n" + line))) << name;
        }
        EXPECT_THAT(result.changed_lines, Contains(HasSubstr("stats_temp_directory")));
    }
}

// A server does not start whose included file is broken; people may mend that by removing both.
TEST_F(HandOverAgainTest, AnIncludeThatPeopleRemovedStaysAway)
{
    const std::vector<CapturedFile> captured = {
        {"/etc/pg/postgresql.conf", "config", "include_dir 'conf.d'\n"},
        {"/etc/pg/conf.d/10.conf", "include", "work_mem = 1\n"},
        {"/etc/pg/pg_hba.conf", "hba", "local all all peer\n"}};
    const std::string include = "captured/etc/pg/conf.d/10.conf";
    write_production(data, captured, result);
    data.remove(include);
    for (int pass = 0; pass < 2; ++pass) {
        result = {};
        write_production(data, captured, result);
        EXPECT_FALSE(data.exists(include));
        EXPECT_THAT(result.changed_lines,
                    Contains(include + ": removed since the hand-over before, left so"));
    }
    // A hand-over that did not come so far had not written them all.
    data.remove("postgresql.conf");
    write_production(data, captured, result);
    EXPECT_TRUE(data.exists(include));
}

} // namespace
} // namespace tidemark::engine::postgres
