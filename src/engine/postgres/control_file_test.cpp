#include "engine/postgres/control_file.h"

#include "base/ci_testing.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/subprocess.h"
#include "base/temp_dir.h"
#include "stream/crc32c.h"

#include <filesystem>
#include <gtest/gtest.h>
#include <map>
#include <sstream>
#include <unistd.h>

namespace tidemark::engine::postgres {
namespace {

const std::filesystem::path kBin = "/usr/lib/postgresql/15/bin";
constexpr const char* kNoServer = "PostgreSQL 15 is not here";

/// A control file with recognizable values in the places that matter.
base::Bytes made_up(std::uint32_t version, std::size_t crc_at)
{
    base::Bytes bytes(kControlFileSize);
    auto put = [&](std::size_t at, std::uint64_t value, std::size_t size) {
        for (std::size_t i = 0; i < size; ++i) {
            bytes[at + i] = static_cast<std::byte>(value >> (8 * i));
        }
    };
    put(0, 7711046519082400072, 8);
    put(8, version, 4);
    put(12, 202209061, 4);
    put(16, 2, 4);
    put(32, 0x17529B0, 8);
    put(40, 0x1752900, 8);
    put(48, 3, 4);
    put(52, 2, 4);
    put(136, 0x3000148, 8);
    put(144, 3, 4);
    put(168, 1, 1);
    put(172, 2, 4);
    put(180, 100, 4);
    put(192, 64, 4);
    put(216, 8192, 4);
    put(220, 131072, 4);
    put(224, 8192, 4);
    put(228, 16U << 20, 4);
    put(252, 1, 4);
    put(crc_at, stream::crc32c(base::ByteView(bytes).first(crc_at)), 4);
    return bytes;
}

TEST(ControlFileTest, ReadsAllLayouts)
{
    for (auto [version, crc_at] :
         std::map<std::uint32_t, std::size_t>{{1300, 288}, {1700, 288}, {1800, 292}}) {
        auto file = parse_control_file(made_up(version, crc_at));
        EXPECT_EQ(file.system_id, 7711046519082400072U);
        EXPECT_EQ(file.state, ClusterState::shut_down_in_recovery);
        EXPECT_EQ(file.checkpoint, (model::LogPosition{3, 0x17529B0}));
        EXPECT_EQ(file.redo, (model::LogPosition{3, 0x1752900}));
        EXPECT_EQ(file.min_recovery, (model::LogPosition{3, 0x3000148}));
        EXPECT_TRUE(file.backup_end_required);
        EXPECT_EQ(file.wal_level, WalLevel::logical);
        EXPECT_EQ(file.max_prepared_transactions, 64U);
        EXPECT_EQ(file.wal_segment_size, 16U << 20);
        EXPECT_EQ(file.checksum_version, 1U);
    }
}

TEST(ControlFileTest, TornBytesAreTransient)
{
    auto bytes = made_up(1300, 288);
    bytes[40] ^= std::byte{1};
    try {
        parse_control_file(bytes);
        FAIL();
    } catch (const base::Error& error) {
        EXPECT_TRUE(error.transient());
    }
    EXPECT_THROW(parse_control_file(base::ByteView(bytes).first(100)), base::Error);
}

TEST(ControlFileTest, UnknownVersionIsRefused)
{
    try {
        parse_control_file(made_up(1900, 292));
        FAIL();
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::member_not_ready);
    }
}

std::map<std::string, std::string> controldata(const std::filesystem::path& dir)
{
    auto result = base::run({kBin / "pg_controldata", dir});
    EXPECT_TRUE(result.exit.success()) << result.err;
    std::map<std::string, std::string> values;
    std::istringstream lines{result.out};
    for (std::string line; std::getline(lines, line);) {
        auto colon = line.find(':');
        auto value = line.find_first_not_of(' ', colon + 1);
        values[line.substr(0, colon)] = value == std::string::npos ? "" : line.substr(value);
    }
    return values;
}

TEST(ControlFileTest, AgreesWithPgControldata)
{
    const bool ready = std::filesystem::exists(kBin / "initdb");
    ASSERT_TRUE(ready || !base::nothing_may_be_skipped()) << kNoServer;
    if (!ready) GTEST_SKIP() << kNoServer;
    base::TempDir dir{"tmctl"};
    base::ProcessOptions options;
    if (::geteuid() == 0) {
        options.user = base::lookup_user("postgres");
        ASSERT_EQ(::chown(dir.path().c_str(), options.user->uid, options.user->gid), 0);
    }
    auto data = dir.path() / "d";
    auto made = base::run(
        {kBin / "initdb", "-D", data, "-k", "--no-sync", "-U", "postgres", "--wal-segsize", "4"},
        {.process = options});
    ASSERT_TRUE(made.exit.success()) << made.err;

    auto expected = controldata(data);
    auto file = parse_control_file(base::read_file(data / "global/pg_control", kControlFileSize));
    EXPECT_EQ(std::to_string(file.system_id), expected["Database system identifier"]);
    EXPECT_EQ(std::to_string(file.catalog_version), expected["Catalog version number"]);
    EXPECT_EQ(cluster_state_name(file.state), expected["Database cluster state"]);
    EXPECT_EQ(model::format_offset(file.checkpoint.offset), expected["Latest checkpoint location"]);
    EXPECT_EQ(model::format_offset(file.redo.offset),
              expected["Latest checkpoint's REDO location"]);
    EXPECT_EQ(std::to_string(file.redo.epoch), expected["Latest checkpoint's TimeLineID"]);
    EXPECT_EQ(model::format_offset(file.min_recovery.offset),
              expected["Minimum recovery ending location"]);
    EXPECT_EQ(std::to_string(file.max_connections), expected["max_connections setting"]);
    EXPECT_EQ(std::to_string(file.max_worker_processes), expected["max_worker_processes setting"]);
    EXPECT_EQ(std::to_string(file.max_wal_senders), expected["max_wal_senders setting"]);
    EXPECT_EQ(std::to_string(file.max_locks_per_transaction),
              expected["max_locks_per_xact setting"]);
    EXPECT_EQ(file.track_commit_timestamp ? "on" : "off",
              expected["track_commit_timestamp setting"]);
    EXPECT_EQ(std::to_string(file.wal_segment_size), expected["Bytes per WAL segment"]);
    EXPECT_EQ(std::to_string(file.page_size), expected["Database block size"]);
    EXPECT_EQ(std::to_string(file.checksum_version), expected["Data page checksum version"]);
}

} // namespace
} // namespace tidemark::engine::postgres
