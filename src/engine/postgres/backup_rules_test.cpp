#include "engine/postgres/backup_rules.h"

#include <gtest/gtest.h>

namespace tidemark::engine::postgres {
namespace {

TEST(BackupRulesTest, RelationFiles)
{
    EXPECT_EQ(parse_relation_file("16384"), (RelationFile{"16384", Fork::main, 0}));
    EXPECT_EQ(parse_relation_file("16384.7"), (RelationFile{"16384", Fork::main, 7}));
    EXPECT_EQ(parse_relation_file("16384_fsm"), (RelationFile{"16384", Fork::fsm, 0}));
    EXPECT_EQ(parse_relation_file("16384_vm.1"), (RelationFile{"16384", Fork::vm, 1}));
    EXPECT_EQ(parse_relation_file("16384_init"), (RelationFile{"16384", Fork::init, 0}));
    for (const char* name : {"", "PG_VERSION", "pg_filenode.map", "16384x", "16384_", "16384.",
                             "16384_foo", "t3_16384", "16384.1.2", "12345678901"}) {
        EXPECT_FALSE(parse_relation_file(name)) << name;
    }
}

TEST(BackupRulesTest, TemporaryRelations)
{
    for (const char* name : {"t3_16384", "t12_16384.1", "t3_16384_fsm"}) {
        EXPECT_TRUE(is_temporary_relation(name)) << name;
    }
    for (const char* name : {"16384", "t_16384", "t3", "t3_", "tt3_1", "t3_16384x"}) {
        EXPECT_FALSE(is_temporary_relation(name)) << name;
    }
}

TEST(BackupRulesTest, ExclusionsOfTheServer)
{
    for (const char* name :
         {"postmaster.pid", "postmaster.opts", "pg_internal.init", "pg_internal.init.123",
          "backup_label", "tablespace_map", "backup_manifest", "postgresql.auto.conf.tmp",
          "current_logfiles.tmp", "pgsql_tmp", "pgsql_tmp12.0"}) {
        EXPECT_TRUE(is_excluded_file(name)) << name;
    }
    for (const char* name : {"postgresql.auto.conf", "current_logfiles", "backup_label.old",
                             "pg_twophase", "pg_control", "PG_VERSION"}) {
        EXPECT_FALSE(is_excluded_file(name)) << name;
    }
    EXPECT_TRUE(is_emptied_directory("pg_replslot"));
    EXPECT_FALSE(is_emptied_directory("pg_twophase"));
    EXPECT_FALSE(is_emptied_directory("pg_xact"));
}

TEST(BackupRulesTest, UnloggedRelationsKeepTheirInitForkOnly)
{
    std::set<std::string, std::less<>> init{"16384"};
    for (const char* name : {"16384", "16384.1", "16384_fsm", "16384_vm", "t3_20000"}) {
        EXPECT_TRUE(is_left_out(name, init)) << name;
    }
    for (const char* name : {"16384_init", "16385", "163840", "PG_VERSION"}) {
        EXPECT_FALSE(is_left_out(name, init)) << name;
    }
}

TEST(BackupRulesTest, PagesWithChecksums)
{
    for (const char* path : {"global/1262", "base/5/16384.2", "base/5/16384_fsm",
                             "pg_tblspc/16385/PG_15_202209061/5/16386", "base/5/16384_init"}) {
        EXPECT_TRUE(has_page_checksums(path)) << path;
    }
    for (const char* path :
         {"global/pg_control", "global/pg_filenode.map", "base/5/PG_VERSION", "pg_xact/0000",
          "base/5/pg_internal.init", "PG_VERSION", "pg_twophase/000002D7", "1262"}) {
        EXPECT_FALSE(has_page_checksums(path)) << path;
    }
}

TEST(BackupRulesTest, TwophaseNames)
{
    EXPECT_EQ(parse_twophase_name("000002D7"), 0x2D7U);
    EXPECT_EQ(parse_twophase_name("00000001000002D7"), 0x2D7U);
    EXPECT_FALSE(parse_twophase_name("2D7"));
    EXPECT_FALSE(parse_twophase_name("0000zzzz"));
}

} // namespace
} // namespace tidemark::engine::postgres
