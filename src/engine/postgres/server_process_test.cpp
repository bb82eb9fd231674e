#include "engine/postgres/server_process.h"

#include "base/error.h"
#include "base/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace tidemark::engine::postgres {
namespace {

using testing::HasSubstr;

/// A folder with a program that says it is this server.
class ServerBinariesTest : public testing::Test {
protected:
    void put_server(const std::string& script, bool executable = true) const
    {
        auto program = dir_.path() / "postgres";
        std::ofstream(program) << "#!/bin/sh\n" << script << "\n";
        using std::filesystem::perms;
        std::filesystem::permissions(program, executable ? perms::owner_all
                                                         : perms::owner_read | perms::owner_write);
    }
    /// Why its programs do not do for a backup of PostgreSQL 15.
    std::string refusal() const
    {
        try {
            find_server_binaries(dir_.path(), 150004);
        } catch (const base::Error& error) {
            EXPECT_EQ(error.code(), base::Code::member_not_ready); // exit 21
            EXPECT_THAT(error.hint(), HasSubstr("programs of PostgreSQL 15"));
            return error.message();
        }
        return {};
    }

    base::TempDir dir_;
};

TEST_F(ServerBinariesTest, ThoseOfTheRightMajorVersionAreTaken)
{
    put_server("test \"$*\" = --version && echo 'postgres (PostgreSQL) 15.9 (Debian 15.9-1)'");
    EXPECT_EQ(find_server_binaries(dir_.path(), 150004), dir_.path());
    put_server("echo 'postgres (PostgreSQL) 15beta2'");
    EXPECT_EQ(find_server_binaries(dir_.path(), 150004), dir_.path());
}

TEST_F(ServerBinariesTest, AFolderWithoutAServerIsNamed)
{
    const auto nothing = dir_.path().string() + " holds no PostgreSQL server";
    EXPECT_EQ(refusal(), nothing);
    put_server("echo 'postgres (PostgreSQL) 15.9'", false);
    EXPECT_EQ(refusal(), nothing) << "it cannot be run";
    put_server("echo something else");
    EXPECT_EQ(refusal(), nothing);
    put_server("echo 'postgres (PostgreSQL) devel'");
    EXPECT_EQ(refusal(), nothing) << "of no version";
    put_server("echo 'postgres (PostgreSQL) 15.9'; exit 1");
    EXPECT_EQ(refusal(), nothing);
}

TEST_F(ServerBinariesTest, AnotherMajorVersionIsNamedBesideTheBackups)
{
    put_server("echo 'postgres (PostgreSQL) 9.6.24'");
    EXPECT_EQ(refusal(),
              dir_.path().string() + " holds PostgreSQL 9.6, but the backup is of PostgreSQL 15");
    put_server("echo 'postgres (PostgreSQL) 16.2'");
    EXPECT_EQ(refusal(),
              dir_.path().string() + " holds PostgreSQL 16, but the backup is of PostgreSQL 15");
}

} // namespace
} // namespace tidemark::engine::postgres
