// Memory does not grow with the database: many files, files that are longer than all the memory
// that is promised, and as much real data and log.

#include "base/fd.h"
#include "cli/group_lab.h"
#include "engine/postgres/pq.h"

#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/resource.h>

namespace tidemark::support {
namespace {

namespace fs = std::filesystem;
using engine::postgres::Connection;

// Sanitizers keep shadows of all memory and do not give back what is freed.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

constexpr long kPromisedKib = 256L * 1024;
constexpr int kFiles = 20'000;
constexpr int kSegments = 1; ///< of 1 GiB, holes
constexpr int kRows = 500'000;

/// Peak of the largest process that has ended below us: the program, its children, initdb.
long peak_kib()
{
    rusage usage = {};
    ::getrusage(RUSAGE_CHILDREN, &usage);
    return usage.ru_maxrss;
}

class MemoryTest : public ::testing::Test {
protected:
    void SetUp() override
    {
        if (kSanitized) GTEST_SKIP() << "a sanitizer's own memory would be measured";
        lab_ = std::make_unique<GroupLab>();
        auto made = lab_->init();
        ASSERT_EQ(made.code(), 0) << made.text();
        // So that what is kept in memory by mistake is as large as it can be.
        auto bytes = base::read_file(lab_->config, 1U << 20);
        std::string text(base::as_text(bytes));
        const std::string section = "[repository.main]\n";
        auto at = text.find(section);
        ASSERT_NE(at, std::string::npos) << text;
        text.insert(at + section.size(), "compression = \"none\"\n");
        std::ofstream(lab_->config, std::ios::trunc) << text;
        fill();
    }

    void fill()
    {
        auto& cluster = lab_->lab.cluster(0);
        auto sql = Connection::open(cluster.url());
        auto oid = sql.exec("SELECT oid FROM pg_database WHERE datname = 'postgres'");
        auto folder = cluster.data_dir() / "base" / oid.text(0, 0).value();
        for (int i = 0; i < kFiles; ++i)
            make(folder / std::to_string(900'000 + i), 0);
        for (int i = 0; i < kSegments; ++i)
            make(folder / (i == 0 ? "899999" : fmt::format("899999.{}", i)), 1U << 30);
        sql.exec("CREATE TABLE public.bulk (line text)");
        sql.exec(fmt::format("INSERT INTO public.bulk SELECT repeat(md5(i::text), 25) "
                             "FROM generate_series(1, {}) i",
                             kRows));
    }
    static void make(const fs::path& file, std::uintmax_t size)
    {
        std::ofstream{file}.close();
        if (size > 0) fs::resize_file(file, size);
        app::give_to_lab_user(file);
    }

    static void expect_small(const ToolRun& run)
    {
        EXPECT_EQ(run.code(), 0) << run.text();
        EXPECT_LT(peak_kib(), kPromisedKib) << run.line;
    }

    std::unique_ptr<GroupLab> lab_;
};

TEST_F(MemoryTest, StaysBelowWhatIsPromisedWhateverTheDatabaseHolds)
{
    auto backup = lab_->run({"backup", "--name", "large", "--json"});
    expect_small(backup);
    // As much log again, which a mark reads, indexes and stores.
    Connection::open(lab_->lab.cluster(0).url())
        .exec("INSERT INTO public.bulk SELECT repeat(md5(i::text), 25) FROM generate_series(1, "
              "200000) i");
    expect_small(lab_->run({"mark", "--name", "last"}));
    expect_small(lab_->run({"verify"}));
    expect_small(lab_->run({"restore", "--to", "last", "--dir", lab_->target("r").string()}));
    // It was as large as it should be.
    EXPECT_EQ(fs::file_size(lab_->target("r") / "m0/data/base" /
                            Connection::open(lab_->lab.cluster(0).url())
                                .exec("SELECT oid FROM pg_database WHERE datname = 'postgres'")
                                .text(0, 0)
                                .value() /
                            "899999"),
              1U << 30);
    fs::remove_all(lab_->target("r"));
}

} // namespace
} // namespace tidemark::support
