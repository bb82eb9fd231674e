#include "engine/postgres/file_copier.h"

#include "base/io_priority.h"
#include "base/temp_dir.h"

#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mutex>
#include <set>

namespace tidemark::engine::postgres {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kFileBytes = 64U << 10;
constexpr std::size_t kFiles = 24;

/// What the workers are while they read.
class PriorityNotes final : public BackupSink {
public:
    void file(const model::FileEntry& /*entry*/) override {}
    void extent(std::uint32_t /*worker*/, std::uint32_t /*index*/, std::uint64_t /*offset*/,
                base::ByteView bytes) override
    {
        std::lock_guard lock(mutex_);
        seen.insert(base::io_priority());
        total += bytes.size();
    }

    std::set<std::string> seen;
    std::uint64_t total = 0;

private:
    std::mutex mutex_;
};

class FileCopierTest : public ::testing::Test {
protected:
    FileCopierTest()
    {
        std::filesystem::create_directory(dir_.path() / "pg_tblspc");
        std::filesystem::create_directories(dir_.path() / "base" / "5");
        for (std::size_t i = 0; i < kFiles; ++i)
            std::ofstream(dir_.path() / "base" / "5" / std::to_string(16384 + i))
                << std::string(kFileBytes, 'x');
    }
    /// With two workers.
    void copy(BackupSink& sink, std::uint64_t bytes_per_second = 0)
    {
        auto walk = walk_cluster(dir_.path(), "PG_15_202209061");
        std::uint32_t index = 0;
        for (auto& file : walk.files)
            file.index = index++;
        PageVerifier verifier{{}};
        stream::Throttle throttle{{.bytes_per_second = bytes_per_second}};
        FileCopier copier{walk, verifier, throttle, {.workers = 2}};
        std::atomic<std::uint64_t> progress{0};
        copier.run(sink, progress, {});
    }

    base::TempDir dir_{"copier"};
};

TEST_F(FileCopierTest, ReadsAtTheLowestPriority)
{
    PriorityNotes notes;
    copy(notes);
    EXPECT_EQ(notes.total, kFiles * kFileBytes);
    EXPECT_THAT(notes.seen, testing::ElementsAre("be/7"));
    EXPECT_STREQ(base::io_priority(), "none") << "of whoever started them";
}

// Workers share one rate. A lower bound only: a machine that is busy takes longer.
TEST_F(FileCopierTest, AllWorkersTogetherKeepToTheRate)
{
    constexpr std::uint64_t kRate = 1U << 20;
    PriorityNotes notes;
    const auto begun = std::chrono::steady_clock::now();
    copy(notes, kRate);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
    // Half a second's worth is free, and each worker may have read one file in advance.
    constexpr double kLeast = static_cast<double>(kFiles * kFileBytes - kRate / 2 - 2 * kFileBytes);
    EXPECT_GE(took.count(), kLeast / static_cast<double>(kRate));
    EXPECT_EQ(notes.total, kFiles * kFileBytes);
}

} // namespace
} // namespace tidemark::engine::postgres
