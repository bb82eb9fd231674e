// Disks that are full or read-only, on file systems of the test's own: nothing is lost, the code
// and the next step are right, and the same command goes on when there is room.

#include "base/fd.h"
#include "base/mount_testing.h"
#include "cli/shared_group.h"
#include "engine/postgres/pq.h"

#include <algorithm>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

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

    /// All files of a folder, by their times.
    static void make_old(const fs::path& folder)
    {
        for (const auto& file : fs::directory_iterator(folder))
            fs::last_write_time(file, fs::file_time_type::clock::now() - std::chrono::hours{48});
    }

    /// As of a backup that was killed two days ago.
    static fs::path leave_dead_pack(const fs::path& repository)
    {
        auto pack = repository / "groups/shop/members/m0/packs/0000000099-0000000099-000000";
        std::ofstream(pack, std::ios::binary) << std::string(1U << 20, 'x');
        fs::last_write_time(pack, fs::file_time_type::clock::now() - std::chrono::hours{48});
        return pack;
    }
};

/// A copy of a repository that can only be read: mounted so or, where root's rights do not stand
/// in the way, by its permissions.
class ReadOnlyCopy {
public:
    ReadOnlyCopy(const fs::path& repository, const fs::path& place)
        : disk_(place, "size=400m"), path_(place / "repository")
    {
        fs::copy(repository, path_, fs::copy_options::recursive);
        if (disk_.mounted())
            disk_.read_only();
        else
            permit(false);
    }
    ReadOnlyCopy(const ReadOnlyCopy&) = delete;
    ReadOnlyCopy& operator=(const ReadOnlyCopy&) = delete;
    ~ReadOnlyCopy()
    {
        if (!disk_.mounted()) permit(true);
    }
    bool holds() const { return disk_.mounted() || ::geteuid() != 0; }
    const fs::path& path() const { return path_; }

private:
    void permit(bool writing) const
    {
        constexpr auto kWrite = fs::perms::owner_write | fs::perms::group_write;
        auto how = writing ? fs::perm_options::add : fs::perm_options::remove;
        std::error_code error;
        fs::permissions(path_, kWrite, how, error);
        for (const auto& entry : fs::recursive_directory_iterator(path_, error))
            fs::permissions(entry.path(), kWrite, how, error);
    }

    SmallDisk disk_;
    fs::path path_;
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

/// A restore that was killed when its servers had been promoted already.
TEST_F(DiskTest, ADiskThatIsFullBehindTheMarkIsNamed)
{
    SmallDisk disk(lab_->folder() / "promoted-disk", "size=600m");
    ASSERT_TRUE(disk.mounted() || !base::mounting_is_expected()) << base::kNoMount;
    if (!disk.mounted()) GTEST_SKIP() << base::kNoMount;
    const auto dir = lab_->target("promoted");
    Tool::Arguments arguments{"--to", "last", "--map", "m1=" + (disk.path() / "m1").string()};
    auto run = lab_->restore(arguments, "promoted");
    ASSERT_EQ(run.code(), 0) << run.text();
    stop_restored(disk.path());
    stop_restored(dir);
    for (const auto& folder : {dir / "m0", disk.path() / "m1"}) {
        auto file = folder / "tidemark/state.json";
        auto state = nlohmann::json::parse(std::ifstream(file));
        state["phase"] = "settled";
        state.erase("opened");
        std::ofstream(file, std::ios::trunc) << state.dump();
    }
    for (const std::uintmax_t left : {4U, 40U}) { // kB
        SCOPED_TRACE(left);
        auto space = fs::space(disk.path());
        disk.change(fmt::format("size={}k", (space.capacity - space.available) / 1024 + left));
        auto full = lab_->restore(arguments, "promoted");
        expect(full, 32);
        EXPECT_NE(full.err.find("m1"), std::string::npos) << full.text();
        EXPECT_FALSE(any_server_runs(dir));
        EXPECT_FALSE(any_server_runs(disk.path()));
    }
    disk.change("size=600m");
    run = lab_->restore(arguments, "promoted");
    EXPECT_EQ(run.code(), 0) << run.text();
    if (run.code() == 0) {
        auto verdict = lab_->check(run, "last");
        EXPECT_TRUE(verdict.clean()) << verdict.describe();
    }
    stop_restored(disk.path());
    stop_restored(dir);
}

// rule 24
TEST_F(DiskTest, ARepositoryThatCanOnlyBeReadIsRestoredFrom)
{
    ReadOnlyCopy copy(lab_->repository, lab_->folder() / "snapshot");
    ASSERT_TRUE(copy.holds() || !base::mounting_is_expected()) << base::kNoMount;
    if (!copy.holds()) GTEST_SKIP() << base::kNoMount;
    const auto before = listing(copy.path());
    const auto config = config_for(copy.path()).string();
    Tool elsewhere(lab_->folder() / "elsewhere"); // a host that never saw the repository
    auto run = [&](Tool::Arguments command) {
        command.insert(command.end(), {"--config", config});
        return elsewhere.run(command);
    };
    for (const auto& reading : std::vector<Tool::Arguments>{{"list", "marks"},
                                                            {"list", "sets"},
                                                            {"show", "last"},
                                                            {"status"},
                                                            {"verify"},
                                                            {"audit", "last"},
                                                            {"restore", "--plan", "--to", "last"}})
        expect(run(reading), 0);
    const auto dir = lab_->target("from-snapshot");
    Tool::Arguments restore{"restore", "--to", "last", "--start", "--json", "--dir", dir.string()};
    auto said = [](const ToolRun& one) {
        return one.err.find("of the new timelines") != std::string::npos;
    };
    auto planning = restore;
    planning.emplace_back("--plan");
    auto plan = run(planning);
    EXPECT_EQ(plan.code(), 3) << plan.text();
    EXPECT_TRUE(said(plan)) << plan.text();
    auto several = run({"restore", "--to", "last", "--only", "m0", "--dir", dir.string()});
    expect(several, 13);
    EXPECT_FALSE(fs::exists(dir)) << "nothing is begun";

    auto restored = run(restore);
    EXPECT_EQ(restored.code(), 3) << restored.text();
    EXPECT_TRUE(said(restored)) << restored.text();
    if (restored.code() == 3) {
        auto verdict = lab_->check(restored, "last");
        EXPECT_TRUE(verdict.clean()) << verdict.describe();
    }
    stop_restored(dir);
    EXPECT_EQ(listing(copy.path()), before);
}

TEST_F(DiskTest, ADrillWithoutRoomSaysNothingAboutTheBackupAndLeavesNothing)
{
    SmallDisk disk(lab_->folder() / "scratch-disk", "size=2g,nr_inodes=300");
    ASSERT_TRUE(disk.mounted() || !base::mounting_is_expected()) << base::kNoMount;
    if (!disk.mounted()) GTEST_SKIP() << base::kNoMount;
    auto reports = [] {
        return lab_->run({"list", "drills", "--json"}).json().at("drills").size();
    };
    const auto before = reports();
    auto drill = [&](int code, const std::vector<std::string>& words) {
        auto run = lab_->run({"drill", "--to", "last", "--dir", disk.path().string()});
        expect(run, code);
        for (const auto& word : words)
            EXPECT_NE(run.err.find(word), std::string::npos) << word << '\n' << run.text();
        EXPECT_TRUE(processes_of_drills(disk.path()).empty()) << run.text();
        return run.err;
    };
    const std::string full = "No space left on device";
    drill(32, {full}); // files are being written by then
    EXPECT_TRUE(fs::is_empty(disk.path()));
    disk.change("size=2g,nr_inodes=2"); // the folder, and nothing in it
    drill(32, {full});
    EXPECT_TRUE(fs::is_empty(disk.path()));
    disk.change("size=20m,nr_inodes=300");
    drill(32, {"the drill needs", "--dir"});
    EXPECT_TRUE(fs::is_empty(disk.path()));

    disk.change("size=2g,nr_inodes=300");
    const auto dead = disk.path() / "tidemark-drill-dead";
    fs::create_directory(dead);
    std::ofstream(dead / "owner") << "a drill of tidemark works here\n";
    disk.read_only();
    auto said = drill(21, {"Read-only file system", "--dir"});
    EXPECT_EQ(said.find("removed"), std::string::npos) << said;
    EXPECT_TRUE(fs::exists(dead));
    EXPECT_EQ(reports(), before);
}

/// The files of the backup fit, what the log makes of them need not.
TEST_F(DiskTest, ADrillDoesNotBeginWhereTheLogCouldFillTheDisk)
{
    SmallDisk disk(lab_->folder() / "growing-disk", "size=2g");
    ASSERT_TRUE(disk.mounted() || !base::mounting_is_expected()) << base::kNoMount;
    if (!disk.mounted()) GTEST_SKIP() << base::kNoMount;
    auto sql = engine::postgres::Connection::open(lab_->lab.cluster(0).conninfo());
    sql.exec("CREATE TABLE public.grown AS SELECT pg_catalog.repeat('x', 900) AS t "
             "FROM pg_catalog.generate_series(1, 60000)");
    must(lab_->mark("grown"));
    sql.exec("DROP TABLE public.grown");
    const auto planned = must(lab_->run({"restore", "--plan", "--to", "grown", "--json"})).json();
    const auto room = planned.at("plan").at("room_bytes").get<std::uint64_t>();
    const auto most = planned.at("plan").at("room_most_bytes").get<std::uint64_t>();
    ASSERT_GT(most, room + (100U << 20)) << "the table is in the log twice: there, and kept";
    disk.change(fmt::format("size={}k", (room + (most - room) / 2) / 1024));
    auto run = lab_->run({"drill", "--to", "grown", "--dir", disk.path().string()});
    expect(run, 32);
    for (const char* word : {"the drill needs", "what the log adds", "--dir"})
        EXPECT_NE(run.err.find(word), std::string::npos) << word << '\n' << run.text();
    EXPECT_TRUE(fs::is_empty(disk.path())) << "nothing is begun";
    // A restore may have to do with it.
    run = lab_->run(
        {"restore", "--plan", "--to", "grown", "--dir", (disk.path() / "restored").string()});
    EXPECT_EQ(run.code(), 3) << run.text();
    EXPECT_NE(run.text().find("can need up to"), std::string::npos) << run.text();
    disk.change("size=2g");
    run = lab_->run(
        {"restore", "--plan", "--to", "grown", "--dir", (disk.path() / "restored").string()});
    EXPECT_EQ(run.code(), 0) << run.text();
}

TEST_F(DiskTest, ADiskThatFillsUnderTheServersOfADrillIsNoVerdictOnTheBackup)
{
    SmallDisk disk(lab_->folder() / "filling-disk", "size=2g");
    ASSERT_TRUE(disk.mounted() || !base::mounting_is_expected()) << base::kNoMount;
    if (!disk.mounted()) GTEST_SKIP() << base::kNoMount;
    auto process = lab_->spawn({"drill", "--to", "last", "--dir", disk.path().string()});
    ASSERT_TRUE(eventually([&] {
        std::error_code error;
        for (const auto& scratch : fs::directory_iterator(disk.path(), error))
            if (fs::exists(scratch.path() / "m0/tidemark/promote.log", error)) return true;
        return false;
    }));
    ASSERT_TRUE(eventually([&] { // takes what is free away
        auto space = fs::space(disk.path());
        disk.change(fmt::format("size={}k", (space.capacity - space.available) / 1024 + 256));
        return fs::space(disk.path()).available < (1U << 20);
    }));
    auto run = Tool::finish(std::move(process), {"drill"});
    expect(run, 32);
    EXPECT_TRUE(processes_of_drills(disk.path()).empty()) << run.text();
    EXPECT_TRUE(fs::is_empty(disk.path()));
    auto drills = lab_->run({"list", "drills", "--json"}).json().at("drills");
    for (const auto& one : drills)
        EXPECT_EQ(one.at("passed"), true) << one;
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
    auto dead = leave_dead_pack(place);
    expect(run({"expire"}), 0); // names it
    fill(disk.path() / "filler");
    expect(run({"backup"}), 32);
    expect(run({"mark"}), 32);
    expect(run({"verify"}), 0);
    make_old(place / "groups/shop/tombstones");
    auto emptied = run({"expire", "--json"});
    EXPECT_EQ(emptied.code(), 0) << emptied.text();
    EXPECT_GE(emptied.json().at("removed"), 1) << emptied.text();
    EXPECT_FALSE(fs::exists(dead));
    expect(run({"verify"}), 0);
    disk.read_only();
    expect(run({"mark"}), 13);
    EXPECT_FALSE(has_check("repository_writable"));
    EXPECT_TRUE(has_check("last_run"));
    auto told = run({"status", "--exit-code", "--json"});
    EXPECT_EQ(told.code(), 3) << told.text();
    ASSERT_TRUE(told.json().contains("unrecorded_run")) << told.text();
    EXPECT_EQ(told.json().at("unrecorded_run").at("exit"), 13) << told.text();
    auto listed = run({"list", "marks", "--json"});
    EXPECT_EQ(listed.code(), 0) << listed.text();
    EXPECT_GE(listed.json().at("marks").size(), 3U) << listed.text(); // one was made here
    expect(lab_->tool.run({"list", "marks", "--repo", place.string()}), 0);
    expect(run({"verify"}), 0);
    disk.change("size=400m");
    fs::remove(disk.path() / "filler");
    expect(run({"mark"}), 0);
    EXPECT_FALSE(has_check("last_run"));
    EXPECT_FALSE(run({"status", "--json"}).json().contains("unrecorded_run"));
    expect(run({"backup"}), 0);
    expect(run({"verify"}), 0);
    // The slots have moved on with that copy; the original heals by a backup.
    EXPECT_EQ(lab_->run({"backup"}).code(), 3);
}

} // namespace
} // namespace tidemark::support
