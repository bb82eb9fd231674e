#include "engine/postgres/recovery_config.h"

#include "engine/postgres/conf_file.h"

#include <gtest/gtest.h>
#include <map>

namespace tidemark::engine::postgres {
namespace {

std::map<std::string, std::string> read(const ServerSetup& setup)
{
    std::map<std::string, std::string> out;
    for (const auto& line : split_lines(server_configuration(setup))) {
        if (auto parsed = parse_conf_line(line)) {
            EXPECT_TRUE(out.emplace(parsed->name, parsed->value).second) << parsed->name;
        }
    }
    return out;
}

ServerSetup setup(ServerPurpose purpose, int major)
{
    ServerSetup setup;
    setup.purpose = purpose;
    setup.major = major;
    setup.data_dir = "/restore/it's here";
    setup.hba_file = "/work/pg_hba.conf";
    setup.ident_file = "/work/pg_ident.conf";
    setup.socket_dir = "/work/s";
    setup.goal.position = 0x3000148;
    setup.goal.epoch = 3;
    setup.restore_command = "tidemark fetch '%f' \"%p\"";
    setup.limits = {{"max_prepared_transactions", "200"}, {"max_connections", "300"}};
    return setup;
}

// rule 22
TEST(RecoveryConfigTest, GoalIsExact)
{
    auto conf = read(setup(ServerPurpose::recover, 15));
    EXPECT_EQ(conf["recovery_target_lsn"], "0/3000148");
    EXPECT_EQ(conf["recovery_target_timeline"], "3");
    EXPECT_EQ(conf["recovery_target_inclusive"], "off");
    EXPECT_EQ(conf["recovery_target_action"], "shutdown");
    EXPECT_EQ(conf["restore_command"], "tidemark fetch '%f' \"%p\"");
    EXPECT_EQ(read(setup(ServerPurpose::promote, 15))["recovery_target_action"], "promote");
    auto running = read(setup(ServerPurpose::run, 15));
    EXPECT_FALSE(running.contains("recovery_target_lsn"));
    EXPECT_FALSE(running.contains("restore_command"));
}

// rule 23, 27
TEST(RecoveryConfigTest, NothingReachesTheWorld)
{
    for (auto purpose : {ServerPurpose::recover, ServerPurpose::promote, ServerPurpose::run,
                         ServerPurpose::keep}) {
        auto conf = read(setup(purpose, 15));
        EXPECT_EQ(conf.at("data_directory"), "/restore/it's here");
        EXPECT_EQ(conf.at("hba_file"), "/work/pg_hba.conf");
        EXPECT_EQ(conf.at("ident_file"), "/work/pg_ident.conf");
        EXPECT_EQ(conf.at("archive_mode"), "off");
        for (const char* name :
             {"listen_addresses", "archive_command", "archive_library", "archive_cleanup_command",
              "recovery_end_command", "primary_conninfo", "primary_slot_name",
              "synchronous_standby_names", "shared_preload_libraries", "session_preload_libraries",
              "local_preload_libraries", "external_pid_file"}) {
            EXPECT_EQ(conf.at(name), "") << name;
        }
        EXPECT_EQ(conf.at("max_logical_replication_workers"), "0");
        EXPECT_EQ(conf.at("max_prepared_transactions"), "200");
        EXPECT_EQ(conf.at("max_connections"), "300");
        EXPECT_EQ(conf.at("fsync"), "on");
        EXPECT_EQ(conf.at("jit"), "off") << "the sandbox of the drill's unit forbids it";
    }
    EXPECT_EQ(read(setup(ServerPurpose::recover, 15)).at("hot_standby"), "off");
    for (auto purpose : {ServerPurpose::recover, ServerPurpose::promote, ServerPurpose::run})
        EXPECT_EQ(read(setup(purpose, 15)).at("autovacuum"), "off");
}

// Off, and the commit timestamps of the backup are gone; on where they were not, and a transaction
// that was prepared long ago cannot be committed.
TEST(RecoveryConfigTest, CommitTimestampsAreAsTheyWere)
{
    for (auto purpose : {ServerPurpose::recover, ServerPurpose::promote, ServerPurpose::run,
                         ServerPurpose::keep}) {
        auto on = setup(purpose, 13);
        EXPECT_EQ(read(on).at("track_commit_timestamp"), "off");
        on.track_commit_timestamp = true;
        EXPECT_EQ(read(on).at("track_commit_timestamp"), "on");
    }
}

// rule 11: the server refuses to start where min_wal_size is less than two segments
TEST(RecoveryConfigTest, WalSizesHoldSegmentsOfAnySize)
{
    struct Case {
        std::uint32_t segment_mb;
        const char* least;
        const char* most;
    };
    for (auto purpose : {ServerPurpose::recover, ServerPurpose::promote, ServerPurpose::run,
                         ServerPurpose::keep}) {
        for (const auto& [segment_mb, least, most] :
             {Case{1, "80MB", "1024MB"}, Case{16, "80MB", "1024MB"}, Case{64, "128MB", "1024MB"},
              Case{1024, "2048MB", "4096MB"}}) {
            auto large = setup(purpose, 15);
            large.wal_segment_size = segment_mb << 20;
            EXPECT_EQ(read(large).at("min_wal_size"), least) << segment_mb;
            EXPECT_EQ(read(large).at("max_wal_size"), most) << segment_mb;
        }
    }
}

// rule 23
// rule 29
TEST(RecoveryConfigTest, TablespacesThatReplayMakesMayLieInside)
{
    auto made = setup(ServerPurpose::recover, 15);
    EXPECT_FALSE(read(made).contains("allow_in_place_tablespaces"));
    made.tablespaces_inside = true;
    EXPECT_EQ(read(made).at("allow_in_place_tablespaces"), "on");
    made.purpose = ServerPurpose::promote;
    EXPECT_EQ(read(made).at("allow_in_place_tablespaces"), "on");
    made.purpose = ServerPurpose::keep;
    EXPECT_FALSE(read(made).contains("allow_in_place_tablespaces"));
}

TEST(RecoveryConfigTest, OnlyNamedLibrariesArePreloaded)
{
    for (auto purpose : {ServerPurpose::recover, ServerPurpose::keep}) {
        auto named = setup(purpose, 15);
        named.preload_libraries = {"a", "b"};
        auto conf = read(named);
        EXPECT_EQ(conf.at("shared_preload_libraries"), "a,b");
        EXPECT_EQ(conf.at("session_preload_libraries"), "");
    }
}

TEST(RecoveryConfigTest, SettingsAreThoseOfTheVersion)
{
    EXPECT_FALSE(read(setup(ServerPurpose::recover, 13)).contains("recovery_init_sync_method"));
    EXPECT_EQ(read(setup(ServerPurpose::recover, 14)).at("recovery_init_sync_method"), "syncfs");
    EXPECT_FALSE(read(setup(ServerPurpose::keep, 15)).contains("recovery_init_sync_method"));
    EXPECT_FALSE(read(setup(ServerPurpose::recover, 14)).contains("archive_library"));
    EXPECT_FALSE(read(setup(ServerPurpose::recover, 16)).contains("event_triggers"));
    EXPECT_EQ(read(setup(ServerPurpose::recover, 17)).at("event_triggers"), "off");
    EXPECT_TRUE(read(setup(ServerPurpose::recover, 18)).contains("max_active_replication_origins"));
}

TEST(RecoveryConfigTest, LargerLimits)
{
    EXPECT_EQ(larger_limit("10", "9"), "10");
    EXPECT_EQ(larger_limit("", "0"), "0");
    EXPECT_EQ(larger_limit("64", "nonsense"), "64");
}

} // namespace
} // namespace tidemark::engine::postgres
