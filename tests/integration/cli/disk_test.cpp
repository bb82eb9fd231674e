// Disks that are full or read-only, on file systems of the test's own: nothing is lost, the code
// and the next step are right, and the same command goes on when there is room.

#include "base/fd.h"
#include "base/mount_testing.h"
#include "cli/shared_group.h"

#include <algorithm>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace tidemark::support {
namespace {

namespace fs = std::filesystem;

class DiskTest : public SharedGroupTest {
protected:
    static void SetUpTestSuite()
    {
        share_group([] {
            must(lab_->init());
            back_up_under_load({.before = 50, .after = 100});
            must(lab_->mark("last"));
        });
    }

    static void expect(const ToolRun& run, int code)
    {
        EXPECT_EQ(run.code(), code) << run.text();
        EXPECT_TRUE(code == 0 || run.explained()) << run.text();
    }

    /// The configuration with its repository at `place`.
    static fs::path config_for(const fs::path& place)
    {
        auto bytes = base::read_file(lab_->config, 1U << 20);
        std::string text(base::as_text(bytes));
        auto at = text.find(lab_->repository.string());
        EXPECT_NE(at, std::string::npos) << text;
        if (at != std::string::npos)
            text.replace(at, lab_->repository.string().size(), place.string());
        auto path = lab_->folder() / "other.toml";
        std::ofstream(path, std::ios::trunc) << text;
        return path;
    }

    static bool is_promoted(const fs::path& folder)
    {
        std::ifstream file(folder / "tidemark/state.json");
        auto state = nlohmann::json::parse(file, nullptr, false);
        return state.is_object() && state.value("phase", "") == "promoted";
    }

    static void fill(const fs::path& file)
    {
        std::ofstream filler(file, std::ios::binary);
        std::string block(1U << 20, 'x');
        while (filler.write(block.data(), 1U << 20).flush()) {
        }
    }
};

/// Enough bytes for the check before the start, too few files for what is written.
TEST_F(DiskTest, AFullDiskInTheTargetCostsNothingButTime)
{
    SmallDisk disk(lab_->folder() / "disk", "size=600m,nr_inodes=300");
    ASSERT_TRUE(disk.mounted() || !base::mounting_is_expected()) << base::kNoMount;
    if (!disk.mounted()) GTEST_SKIP() << base::kNoMount;
    auto dir = lab_->target("r");
    Tool::Arguments arguments{"--to", "last", "--map", "m1=" + (disk.path() / "m1").string()};
    auto full = lab_->restore(arguments, "r");
    expect(full, 32);
    EXPECT_NE(full.err.find("m1"), std::string::npos) << full.text();
    EXPECT_FALSE(any_server_runs(dir));
    EXPECT_FALSE(is_promoted(dir / "m0"));
    disk.change("size=600m,nr_inodes=100000");
    auto run = lab_->restore(arguments, "r");
    EXPECT_EQ(run.code(), 0) << run.text();
    if (run.code() == 0) {
        auto verdict = lab_->check(run, "last");
        EXPECT_TRUE(verdict.clean()) << verdict.describe();
    }
    stop_restored(disk.path());
    stop_restored(dir);
    disk.change("size=20m");
    fs::remove_all(disk.path() / "m1");
    disk.change("size=20m");
    auto small = lab_->restore(arguments, "r2");
    EXPECT_EQ(small.code(), 32) << small.text();
    EXPECT_FALSE(fs::exists(lab_->target("r2") / "m0/data")) << "nothing is begun";
}

TEST_F(DiskTest, ARepositoryThatIsFullOrReadOnlyLosesNothing)
{
    SmallDisk disk(lab_->folder() / "repository-disk", "size=400m");
    ASSERT_TRUE(disk.mounted() || !base::mounting_is_expected()) << base::kNoMount;
    if (!disk.mounted()) GTEST_SKIP() << base::kNoMount;
    auto place = disk.path() / "repository";
    fs::copy(lab_->repository, place, fs::copy_options::recursive);
    auto config = config_for(place);
    auto run = [&](Tool::Arguments command) {
        command.insert(command.end(), {"--config", config.string()});
        return lab_->tool.run(command);
    };
    auto has_check = [&](const std::string& name) {
        const auto document = run({"check", "--json"}).json();
        return std::ranges::any_of(document.at("checks"), [&](const nlohmann::json& one) {
            return one.at("check") == name;
        });
    };
    EXPECT_TRUE(has_check("repository_writable"));
    EXPECT_FALSE(has_check("repository_device")) << "it has a disk of its own";
    expect(run({"mark"}), 0);
    fill(disk.path() / "filler");
    expect(run({"backup"}), 32);
    expect(run({"mark"}), 32);
    expect(run({"verify"}), 0);
    disk.read_only();
    expect(run({"mark"}), 13);
    EXPECT_FALSE(has_check("repository_writable"));
    auto listed = run({"list", "marks", "--json"});
    EXPECT_EQ(listed.code(), 0) << listed.text();
    EXPECT_GE(listed.json().at("marks").size(), 3U) << listed.text(); // one was made here
    expect(lab_->tool.run({"list", "marks", "--repo", place.string()}), 0);
    expect(run({"verify"}), 0);
    disk.change("size=400m");
    fs::remove(disk.path() / "filler");
    expect(run({"mark"}), 0);
    expect(run({"backup"}), 0);
    expect(run({"verify"}), 0);
    // The slots have moved on with that copy; the original heals by a backup.
    EXPECT_EQ(lab_->run({"backup"}).code(), 3);
}

} // namespace
} // namespace tidemark::support
