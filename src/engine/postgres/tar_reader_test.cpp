#include "engine/postgres/tar_reader.h"

#include "base/error.h"
#include "base/fd.h"
#include "base/subprocess.h"
#include "base/temp_dir.h"

#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace tidemark::engine::postgres {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Writes down what it is told: "f base/1 5 hello", "d global", "l pg_tblspc/1 -> /x".
class Recorder final : public TarHandler {
public:
    std::vector<std::string> log;

    void entry(const TarEntry& entry) override
    {
        switch (entry.type) {
        case TarEntry::Type::file:
            log.push_back(fmt::format("f {} {} ", entry.path, entry.size));
            break;
        case TarEntry::Type::directory:
            log.push_back("d " + entry.path);
            break;
        case TarEntry::Type::symlink:
            log.push_back("l " + entry.path + " -> " + entry.link);
            break;
        }
        expected_ = 0;
        last = entry;
    }
    void data(std::uint64_t offset, base::ByteView bytes) override
    {
        EXPECT_EQ(offset, expected_);
        expected_ += bytes.size();
        log.back() += base::as_text(bytes);
    }
    void end_of_entry() override { ++ends; }

    TarEntry last;
    int ends = 0;

private:
    std::uint64_t expected_ = 0;
};

base::Bytes block(std::string_view name, char type, std::string_view body,
                  std::string_view link = "", std::string_view prefix = "")
{
    base::Bytes bytes(512 + (body.size() + 511) / 512 * 512);
    auto put = [&](std::size_t at, std::string_view text) {
        std::memcpy(bytes.data() + at, text.data(), text.size());
    };
    put(0, name);
    put(100, "0000600");
    put(124, fmt::format("{:011o}", body.size()));
    put(136, "14712345671");
    bytes[156] = static_cast<std::byte>(type);
    put(157, link);
    put(257, std::string_view{"ustar\00000", 8});
    put(345, prefix);
    put(148, "        ");
    unsigned sum = 0;
    for (std::size_t i = 0; i < 512; ++i)
        sum += std::to_integer<unsigned>(bytes[i]);
    put(148, fmt::format("{:06o}", sum));
    bytes[154] = std::byte{0};
    put(512, body);
    return bytes;
}

base::Bytes join(std::initializer_list<base::Bytes> parts)
{
    base::Bytes all;
    for (const auto& part : parts)
        all.insert(all.end(), part.begin(), part.end());
    return all;
}

std::vector<std::string> read(base::ByteView bytes, std::size_t step)
{
    Recorder recorder;
    TarReader reader{recorder};
    for (std::size_t at = 0; at < bytes.size(); at += step) {
        reader.feed(bytes.subspan(at, std::min(step, bytes.size() - at)));
    }
    reader.finish();
    return recorder.log;
}

TEST(TarReaderTest, EntriesInAnyPortions)
{
    auto bytes =
        join({block("backup_label", '0', "START"), block("./pg_wal/archive_status", '5', ""),
              block("pg_tblspc/16384", '2', "", "/srv/space"), block("empty", '0', ""),
              block("PG_VERSION", '0', "15\n", "", "a/b"), base::Bytes(1024)});
    auto expected =
        ElementsAre("f backup_label 5 START", "d pg_wal/archive_status",
                    "l pg_tblspc/16384 -> /srv/space", "f empty 0 ", "f a/b/PG_VERSION 3 15\n");
    for (std::size_t step : {1UL, 7UL, 511UL, 512UL, 513UL, bytes.size()}) {
        EXPECT_THAT(read(bytes, step), expected) << step;
    }
    // Servers before 15 leave out the zero blocks.
    EXPECT_THAT(read(base::ByteView(bytes).first(bytes.size() - 1024), 100), expected);
}

TEST(TarReaderTest, LongNamesAndSizes)
{
    std::string name(180, 'n');
    auto record = fmt::format("{} path={}\n", 10 + name.size(), name);
    auto bytes = join({block("././@LongLink", 'L', name + '\0'), block("short", '0', "1"),
                       block("PaxHeader", 'x', record), block("short", '0', "2")});
    EXPECT_THAT(read(bytes, 64), ElementsAre("f " + name + " 1 1", "f " + name + " 1 2"));

    auto big = block("big", '0', "");
    big[124] = std::byte{0x80};
    for (std::size_t i = 125; i < 136; ++i)
        big[i] = std::byte{0};
    big[131] = std::byte{1}; // 2^32
    std::memset(big.data() + 148, ' ', 8);
    unsigned sum = 0;
    for (std::size_t i = 0; i < 512; ++i)
        sum += std::to_integer<unsigned>(big[i]);
    std::memcpy(big.data() + 148, fmt::format("{:06o}", sum).c_str(), 7);
    Recorder recorder;
    TarReader reader{recorder};
    reader.feed(big);
    EXPECT_EQ(recorder.last.size, 1ULL << 32);
}

TEST(TarReaderTest, NonsenseIsRefused)
{
    auto bad_sum = block("a", '0', "x");
    bad_sum[0] = std::byte{'b'};
    for (const auto& bytes :
         {bad_sum, block("/etc/passwd", '0', ""), block("base/../../x", '0', ""),
          block("dev", '3', ""), block("x", 'x', "99 path=a\n"), block("x", 'x', "path"),
          block("x", 'L', std::string(70000, 'a')),
          join({base::Bytes(512), block("a", '0', "")})}) {
        EXPECT_THROW(read(bytes, 512), base::Error);
    }
    auto cut = block("a", '0', "hello");
    EXPECT_THROW(read(base::ByteView(cut).first(515), 512), base::Error);
    EXPECT_THROW(read(base::ByteView(cut).first(100), 512), base::Error);
    EXPECT_THROW(read(block("././@LongLink", 'L', "name"), 512), base::Error);
}

TEST(TarReaderTest, RandomBytesNeverHarm)
{
    rc::check([](const std::vector<std::uint8_t>& noise, std::uint8_t at) {
        auto bytes = join({block("a/b", '0', "hello"), block("c", '5', "")});
        for (std::size_t i = 0; i < noise.size() && at + i < bytes.size(); ++i) {
            bytes[at + i] = static_cast<std::byte>(noise[i]);
        }
        try {
            read(bytes, 100);
        } catch (const base::Error&) {
        }
    });
}

TEST(TarReaderTest, ReadsWhatTarWrites)
{
    base::TempDir dir{"tmtar"};
    auto root = dir.path() / "in";
    std::string deep = "a-long-folder-name-of-some-forty-characters";
    std::filesystem::create_directories(root / deep / deep / deep);
    std::ofstream(root / deep / deep / deep / "file") << std::string(70000, 'z');
    for (const char* format : {"ustar", "pax", "gnu"}) {
        auto archive = dir.path() / format;
        auto made = base::run({"tar", "--format", format, "-C", root, "-cf", archive, deep});
        ASSERT_TRUE(made.exit.success()) << made.err;
        auto log = read(base::read_file(archive, 1U << 20), 4096);
        ASSERT_EQ(log.size(), 4U) << format;
        EXPECT_THAT(log.back(), HasSubstr("/file 70000 zzz"));
        EXPECT_EQ(log.back().size(), std::strlen("f /file 70000 ") + 3 * deep.size() + 2 + 70000);
    }
}

} // namespace
} // namespace tidemark::engine::postgres
