// A restore that was handed over and is taken up again, as --decisions does.

#include "restore_target_lab.h"

namespace tidemark::engine::postgres {
namespace {

/// As its users do, in quarantine.
Connection as_user(const fs::path& data)
{
    return Connection::open(fmt::format("host={} user=postgres dbname=postgres", data.native()));
}

// rules 23, 26, 27
TEST_F(RestoreTargetTest, WhatAlterSystemWroteIsNotInForceInOurOwnServer)
{
    auto target = recovered();
    target->promote({});
    hand_over(*target, {}, true);
    {
        auto sql = as_user(data_);
        sql.exec("ALTER SYSTEM SET archive_mode = on");
        sql.exec(fmt::format("ALTER SYSTEM SET archive_command = 'touch {}; false'",
                             (home_ / "archived").native()));
        sql.exec("ALTER SYSTEM SET shared_preload_libraries = 'no_such_library'");
    }
    target->take_back();
    target->resume({});
    EXPECT_EQ(ask(*target, "SHOW archive_mode"), "off");
    EXPECT_EQ(ask(*target, "SHOW archive_command"), "(disabled)");
    expect_state_of_goal(*target);
    auto handed = hand_over(*target, {}, false);
    auto beside = base::read_file(data_ / "postgresql.auto.conf.from-backup", 1U << 20);
    EXPECT_THAT(std::string(base::as_text(beside)), HasSubstr("no_such_library"));
    EXPECT_THAT(handed.neutralised, Contains("library no_such_library is not preloaded"));
    EXPECT_THAT(handed.kept_files, Contains("postgresql.auto.conf.from-backup.kept"));
    EXPECT_FALSE(fs::exists(home_ / "archived"));
}

} // namespace
} // namespace tidemark::engine::postgres
