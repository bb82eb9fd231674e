#include "job/target_writer.h"

#include "base/aligned.h"
#include "base/error.h"
#include "base/temp_dir.h"

#include <algorithm>
#include <filesystem>
#include <gtest/gtest.h>
#include <random>

namespace tidemark::job {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSize = 1U << 20;

class TargetWriterTest : public ::testing::TestWithParam<bool> {
protected:
    TargetWriterTest() : tree_(folder_.path(), std::nullopt), expected_(kSize)
    {
        ability_.direct = GetParam();
        tree_.make_file("f", 0600, kSize);
        std::mt19937 random(7);
        source_.reserve(2 * kSize);
        for (auto& byte : source_.first(2 * kSize))
            byte = static_cast<std::byte>(random());
    }

    /// Writes `length` bytes that begin `shift` bytes off a page boundary in memory.
    void write(TargetWriter& writer, std::uint64_t offset, std::size_t length, std::size_t shift)
    {
        auto bytes = source_.first(2 * kSize).subspan(shift, length);
        writer.write(tree_, "f", bytes, offset);
        std::copy(bytes.begin(), bytes.end(),
                  expected_.begin() + static_cast<std::ptrdiff_t>(offset));
    }
    void expect_same() const
    {
        EXPECT_EQ(base::read_file(folder_.path() / "f", 2 * kSize), expected_);
    }

    base::TempDir folder_{"target-writer"};
    TargetTree tree_;
    TargetWriter::Ability ability_;
    base::AlignedBuffer source_;
    base::Bytes expected_;
};

TEST_P(TargetWriterTest, WritesPiecesOfAnyPlaceAndLength)
{
    TargetWriter writer(ability_);
    write(writer, 0, 256 << 10, 0);                  // aligned in every way
    write(writer, 256 << 10, (128 << 10) + 5, 4096); // its tail is no block
    write(writer, (384 << 10) + 5, 200000, 8192);    // begins inside a block
    write(writer, 640 << 10, 128 << 10, 3);          // its memory is not aligned
    write(writer, kSize - 7, 7, 0);
    write(writer, 64 << 10, 128 << 10, 12288); // over what stands there already
    tree_.sync();
    expect_same();
}

TEST_P(TargetWriterTest, MixesCachedAndDirectPiecesOfOneBlockRange)
{
    TargetWriter writer(ability_);
    write(writer, 100, 300, 0); // leaves a page in the cache
    write(writer, 0, 512 << 10, 0);
    write(writer, 4097, 10, 1);
    expect_same();
}

TEST_P(TargetWriterTest, FollowsNoLinkAndLeavesNoTree)
{
    base::TempDir outside("target-writer-outside");
    fs::create_symlink(outside.path() / "x", folder_.path() / "link");
    base::replace_file(outside.path() / "x", base::as_bytes("untouched"));
    TargetWriter writer(ability_);
    for (std::size_t length : {std::size_t{100}, kSize}) {
        EXPECT_THROW(writer.write(tree_, "link", source_.first(length), 0), base::Error);
        EXPECT_THROW(writer.write(tree_, "../" + outside.path().filename().string() + "/x",
                                  source_.first(length), 0),
                     base::Error);
    }
    EXPECT_EQ(base::read_file(outside.path() / "x", 100), base::to_bytes("untouched"));
}

INSTANTIATE_TEST_SUITE_P(DirectOrNot, TargetWriterTest, ::testing::Bool());

TEST(TargetWriter, GoesThroughTheCacheWhereTheFileSystemMustAndSaysSo)
{
    base::TempDir folder("target-writer");
    TargetTree tree(folder.path(), std::nullopt);
    tree.make_file("f", 0600, kSize);
    TargetWriter::Ability ability;
    bool able = tree.open_direct("f").valid();
    base::AlignedBuffer source;
    source.reserve(kSize);
    std::ranges::fill(source.first(kSize), std::byte{9});
    TargetWriter writer(ability);
    writer.write(tree, "f", source.first(kSize), 0);
    EXPECT_EQ(writer.direct_bytes(), able ? kSize : 0);
    EXPECT_EQ(ability.direct, able);
}

} // namespace

} // namespace tidemark::job
