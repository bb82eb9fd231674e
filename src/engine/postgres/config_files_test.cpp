#include "engine/postgres/config_files.h"

#include "base/temp_dir.h"
#include "engine/postgres/hand_over.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::engine::postgres {
namespace {

using ::testing::IsSupersetOf;

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

} // namespace
} // namespace tidemark::engine::postgres
