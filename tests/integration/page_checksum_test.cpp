#include "stream/page_checksum.h"

#include "base/fd.h"
#include "base/subprocess.h"
#include "support/lab.h"

#include <charconv>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark {
namespace {

namespace fs = std::filesystem;
using base::Bytes;
using stream::kPageSize;
using stream::PageState;

/// Segment number of a relation's file ("1259", "1259_fsm", "1259.1", "1259_vm.2"); nothing for
/// other files.
std::optional<std::uint32_t> relation_segment(const fs::path& file)
{
    std::string name = file.filename();
    std::uint32_t segment = 0;
    if (auto dot = name.find('.'); dot != std::string::npos) {
        const char* end = name.data() + name.size();
        if (std::from_chars(name.data() + dot + 1, end, segment).ptr != end) return std::nullopt;
        name.resize(dot);
    }
    for (const char* fork : {"_fsm", "_vm", "_init"}) {
        if (name.ends_with(fork)) name.resize(name.size() - std::string_view(fork).size());
    }
    bool digits = !name.empty() && name.find_first_not_of("0123456789") == std::string::npos;
    return digits ? std::optional(segment) : std::nullopt;
}

Bytes read_bytes(const fs::path& path)
{
    std::ifstream in(path, std::ios::binary);
    std::string text((std::istreambuf_iterator<char>(in)), {});
    return base::to_bytes(text);
}

struct Counts {
    std::map<PageState, std::size_t> pages;
    std::size_t total = 0;
};

Counts check_cluster(const fs::path& data_dir)
{
    Counts counts;
    for (const char* top : {"base", "global"}) {
        for (const auto& entry : fs::recursive_directory_iterator(data_dir / top)) {
            auto segment = entry.is_regular_file() ? relation_segment(entry.path()) : std::nullopt;
            if (!segment) continue;
            Bytes bytes = read_bytes(entry.path());
            EXPECT_EQ(bytes.size() % kPageSize, 0U) << entry.path();
            for (std::size_t at = 0; at + kPageSize <= bytes.size(); at += kPageSize) {
                auto block = static_cast<std::uint32_t>(segment.value() * 131072 + at / kPageSize);
                ++counts.pages[stream::check_page(bytes.data() + at, block).state];
                ++counts.total;
            }
        }
    }
    return counts;
}

base::RunResult run_tool(app::LabCluster& cluster, std::vector<std::string> argv)
{
    argv[0] = cluster.install().bin / argv[0];
    return base::run(argv, {.process = {.environment = app::library_path(cluster.install().bin)}});
}

/// The server's own tool is the oracle, both for good and for bad pages.
TEST(PageChecksumIntegration, AgreesWithTheServer)
{
    support::Lab lab(1);
    app::LabCluster& cluster = lab.cluster(0);
    auto made = run_tool(
        cluster, {"psql", "-X", "-v", "ON_ERROR_STOP=1", "-d", cluster.conninfo(), "-c",
                  "create table t as select i, md5(i::text) from generate_series(1, 200000) i",
                  "-c", "create index on t(md5)", "-c", "delete from t where i % 7 = 0", "-c",
                  "vacuum t", "-c", "select pg_relation_filepath('t')", "-At"});
    ASSERT_TRUE(made.exit.success()) << made.err;
    cluster.stop();

    Counts counts = check_cluster(cluster.data_dir());
    EXPECT_GT(counts.pages[PageState::good], 4000U);
    EXPECT_EQ(counts.pages[PageState::bad_checksum], 0U);
    EXPECT_EQ(counts.pages[PageState::bad_new], 0U);
    auto oracle = run_tool(cluster, {"pg_checksums", "--check", "-D", cluster.data_dir()});
    EXPECT_TRUE(oracle.exit.success()) << oracle.err;
    EXPECT_THAT(oracle.out, testing::HasSubstr("Blocks scanned:  " + std::to_string(counts.total)));

    std::string path = made.out.substr(made.out.find("base/"));
    path.resize(path.find('\n'));
    std::fstream file(cluster.data_dir() / path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(17 * 8192 + 5000);
    char byte = static_cast<char>(file.get());
    file.seekp(17 * 8192 + 5000);
    file.put(static_cast<char>(byte ^ 4));
    file.close();
    EXPECT_EQ(check_cluster(cluster.data_dir()).pages[PageState::bad_checksum], 1U);
    oracle = run_tool(cluster, {"pg_checksums", "--check", "-D", cluster.data_dir()});
    EXPECT_FALSE(oracle.exit.success());
    Bytes bytes = read_bytes(cluster.data_dir() / path);
    auto verdict = stream::check_page(bytes.data() + 17 * kPageSize, 17);
    char expected[64];
    std::snprintf(expected, sizeof expected, "calculated checksum %X but block contains %X",
                  verdict.computed, verdict.stored);
    EXPECT_THAT(oracle.err, testing::HasSubstr(expected));
}

} // namespace
} // namespace tidemark
