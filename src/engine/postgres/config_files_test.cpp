#include "engine/postgres/config_files.h"

#include "base/temp_dir.h"
#include "engine/postgres/hand_over.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::engine::postgres {
namespace {

using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::UnorderedElementsAreArray;

struct ConfigFilesTest : ::testing::Test {
    base::TempDir dir{"tmcf"};
    TargetFolder data{dir.path(), std::nullopt};
    HandOver result;

    ServerSetup setup() const
    {
        ServerSetup setup;
        setup.purpose = ServerPurpose::keep;
        setup.major = 15;
        setup.data_dir = dir.path();
        setup.socket_dir = dir.path();
        return setup;
    }
};

// rules 23 and 27
TEST_F(ConfigFilesTest, WhatAlterSystemWroteOutlivesOurOwnServers)
{
    data.write("postgresql.auto.conf", "work_mem = 2\n");
    data.set_aside("postgresql.auto.conf");
    write_quarantine(data, setup(), {}, result);
    data.write("postgresql.auto.conf", "port = 5899\n");
    for (int pass = 0; pass < 2; ++pass) { // repeated after a crash
        park_auto_conf(data);
        EXPECT_FALSE(data.exists("postgresql.auto.conf"));
    }
    // Killed, and somebody has started the server and changed it.
    data.write("postgresql.auto.conf", "port = 5900\n");
    park_auto_conf(data);
    EXPECT_FALSE(data.exists("postgresql.auto.conf"));
    for (int pass = 0; pass < 2; ++pass) {
        unpark_auto_conf(data);
        EXPECT_EQ(data.read("postgresql.auto.conf"), "port = 5900\n");
    }
    EXPECT_FALSE(data.exists("postgresql.auto.conf.parked"));
    result = {};
    write_quarantine(data, setup(), {}, result);
    EXPECT_EQ(data.read("postgresql.auto.conf.from-backup"), "port = 5900\n");
    EXPECT_EQ(data.read("postgresql.auto.conf.from-backup.kept"), "work_mem = 2\n");
    EXPECT_EQ(data.read("postgresql.auto.conf.kept"), "port = 5899\n");
    EXPECT_THAT(result.kept_files, IsSupersetOf({"postgresql.auto.conf.kept",
                                                 "postgresql.auto.conf.from-backup.kept"}));
    // Backed up in the midst, and restored: that of the backup is in its place.
    data.write("postgresql.auto.conf.parked", "port = 1\n");
    adopt_configuration(data);
    unpark_auto_conf(data);
    EXPECT_NE(data.read("postgresql.auto.conf"), "port = 1\n");
    EXPECT_FALSE(data.exists("postgresql.auto.conf.kept-2"));
}

// rule 29
TEST_F(ConfigFilesTest, LinksOfPeopleAreKeptAndNotFollowed)
{
    namespace fs = std::filesystem;
    data.make_folder("etc");
    data.write("etc/theirs", "work_mem = 9\n");
    const std::vector<CapturedFile> captured = {
        {"/etc/pg/postgresql.conf", "config", "include 'more.conf'\n"},
        {"/etc/pg/more.conf", "include", "work_mem = 1\n"},
        {"/etc/pg/pg_hba.conf", "hba", "local all all peer\n"}};
    const std::vector<std::string> links = {"postgresql.conf", "pg_ident.conf",
                                            "postgresql.auto.conf.from-backup",
                                            "captured/etc/pg/more.conf"};
    write_quarantine(data, setup(), captured, result);
    std::vector<std::string> kept;
    for (const auto& name : links) {
        fs::remove(dir.path() / name);
        fs::create_symlink(dir.path() / "etc/theirs", dir.path() / name);
        kept.push_back(name + ".kept");
    }
    for (int pass = 0; pass < 2; ++pass) { // repeated after a crash
        result = {};
        write_quarantine(data, setup(), captured, result);
        EXPECT_THAT(result.kept_files, UnorderedElementsAreArray(kept));
    }
    for (const auto& name : kept)
        EXPECT_EQ(fs::read_symlink(dir.path() / name), dir.path() / "etc/theirs") << name;
    EXPECT_EQ(data.read("etc/theirs"), "work_mem = 9\n");
    EXPECT_EQ(data.read("captured/etc/pg/more.conf"), "work_mem = 1\n");
    EXPECT_FALSE(data.exists("postgresql.auto.conf.from-backup"));
    // A copy kept beside a link gets a name of its own.
    data.write("postgresql.conf", "work_mem = 3\n");
    write_production(data, captured, result);
    EXPECT_EQ(data.read("postgresql.conf.kept-2"), "work_mem = 3\n");
}

// rule 27
TEST_F(ConfigFilesTest, IncludesLeadToWhereTheDataDirectoryIsNow)
{
    data.write("extra.conf", "work_mem = 3\n");
    data.write("postgresql.conf", "include '/old/extra.conf'\ninclude '/old/gone.conf'\n");
    data.write("pg_hba.conf", "local all all peer\n");
    const auto fitted =
        "include '" + (dir.path() / "extra.conf").native() + "'\n#include '/old/gone.conf'\n";
    write_quarantine(data, setup(), {}, result, "/old");
    EXPECT_THAT(*data.read("postgresql.conf.from-backup"), HasSubstr("\n" + fitted));
    write_production(data, {}, result, "/old");
    EXPECT_THAT(*data.read("postgresql.conf"), HasSubstr("\n" + fitted));
}

} // namespace
} // namespace tidemark::engine::postgres
