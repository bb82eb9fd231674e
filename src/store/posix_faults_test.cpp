#include "store/posix.h"

#include "base/mount_testing.h"
#include "base/random.h"
#include "base/temp_dir.h"
#include "store/posix_testing.h"
#include "store/posix_tree.h"
#include "store/probe.h"

#include <csignal>
#include <fmt/format.h>
#include <fstream>
#include <grp.h>
#include <gtest/gtest.h>
#include <map>
#include <sys/mount.h>
#include <sys/resource.h>
#include <thread>

namespace tidemark::store {
namespace {

namespace fs = std::filesystem;
using base::as_bytes;
using base::Code;
using testing_tools::error_of;
using testing_tools::expect;

/// Runs `body` in a process of its own and expects no exception there.
void expect_child(const std::function<void()>& body)
{
    EXPECT_EQ(testing_tools::run_child(body), 0);
}

/// A file system of 2 MiB in memory; not mounted where we may not.
class SmallDisk {
public:
    SmallDisk()
        : mounted_(::mount("tidemark-test", dir_.path().c_str(), "tmpfs", MS_NOSUID | MS_NODEV,
                           "size=2m,mode=0700") == 0)
    {
    }
    ~SmallDisk()
    {
        if (mounted_) ::umount2(dir_.path().c_str(), MNT_DETACH);
    }
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;
    bool mounted() const { return mounted_; }
    const fs::path& path() const { return dir_.path(); }
    bool make_read_only()
    {
        return ::mount(nullptr, path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0;
    }

private:
    base::TempDir dir_;
    bool mounted_;
};

TEST(PosixFaultsTest, AFullDiskShowsNothingHalfWritten)
{
    SmallDisk disk;
    ASSERT_TRUE(disk.mounted() || !base::mounting_is_expected()) << base::kNoMount;
    if (!disk.mounted()) GTEST_SKIP() << base::kNoMount;
    auto storage = open_directory(disk.path());
    put(*storage, "before", as_bytes("x"));
    base::Bytes big(8 << 20, std::byte{7});
    auto error = error_of([&] { put(*storage, "a/big", big); });
    EXPECT_EQ(error.code(), Code::out_of_space) << error.what();
    EXPECT_FALSE(error.hint().empty());
    EXPECT_FALSE(storage->stat("a/big"));
    EXPECT_EQ(storage->list("").size(), 1U);

    auto writer = storage->create("a/again");
    EXPECT_EQ(error_of([&] { writer->write(big); }).code(), Code::out_of_space);
    EXPECT_EQ(error_of([&] { writer->commit(); }).code(), Code::failed)
        << "a writer that lost bytes must not commit the rest";
    EXPECT_NO_THROW(storage->now());
    EXPECT_TRUE(storage->remove("before")) << "removal works on a full disk";
    writer.reset();
    EXPECT_EQ(put(*storage, "after", as_bytes("x")), Created::yes) << "the space is given back";
}

TEST(PosixFaultsTest, AReadOnlyDiskCanBeReadAndSaysWhatToDo)
{
    SmallDisk disk;
    ASSERT_TRUE(disk.mounted() || !base::mounting_is_expected()) << base::kNoMount;
    if (!disk.mounted()) GTEST_SKIP() << base::kNoMount;
    put(*open_directory(disk.path()), "object", as_bytes("text"));
    ASSERT_TRUE(disk.make_read_only());
    auto storage = open_directory(disk.path());
    EXPECT_EQ(storage->list("").size(), 1U);
    auto bytes = get(*storage, "object", 100);
    EXPECT_EQ(base::as_text(bytes.value()), "text");
    for (const auto& error : {error_of([&] { put(*storage, "new", as_bytes("x")); }),
                              error_of([&] { storage->remove("object"); })}) {
        EXPECT_EQ(error.code(), Code::repository_unreachable);
        EXPECT_NE(error.message().find("Read-only file system"), std::string::npos) << error.what();
        EXPECT_NE(error.hint().find("mount"), std::string::npos);
    }
    EXPECT_NO_THROW(storage->now());
}

TEST(PosixFaultsTest, AForbiddenDirectorySaysWhoShouldRun)
{
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    base::TempDir dir;
    ASSERT_EQ(::chmod(dir.path().c_str(), 0755), 0);
    auto root = dir.path() / "repository";
    put(*open_directory(root, {.create = true, .file_mode = 0644, .folder_mode = 0755}), "object",
        as_bytes("x"));
    expect_child([&] {
        ::setgroups(0, nullptr);
        expect(::setresuid(65534, 65534, 65534) == 0, "setresuid");
        auto storage = open_directory(root);
        expect(storage->list("").size() == 1, "list");
        auto error = error_of([&] { put(*storage, "new", as_bytes("x")); });
        expect(error.code() == Code::repository_unreachable, error.what());
        expect(error.hint().find("owner") != std::string::npos, error.hint());
    });
    fs::permissions(root, fs::perms::owner_all);
    expect_child([&] {
        expect(::setresuid(65534, 65534, 65534) == 0, "setresuid");
        auto error = error_of([&] { open_directory(root); });
        expect(error.code() == Code::repository_unreachable, error.what());
    });
}

TEST(PosixFaultsTest, ABoundOnFileSizesIsReported)
{
    base::TempDir dir;
    expect_child([&] {
        std::signal(SIGXFSZ, SIG_IGN);
        rlimit limit{1 << 20, 1 << 20};
        ::setrlimit(RLIMIT_FSIZE, &limit);
        auto storage = open_directory(dir.path());
        base::Bytes big(2 << 20);
        auto error = error_of([&] { put(*storage, "big", big); });
        expect(error.code() == Code::repository_unreachable, error.what());
        expect(storage->list("").empty(), "half an object is visible");
    });
}

TEST(PosixFaultsTest, AFailedSyncIsFinalAndNothingIsVisible)
{
    base::TempDir dir;
    expect_child([&] {
        auto storage = open_directory(dir.path());
        auto top = storage->create("top");
        auto nested = storage->create("a/b");
        testing_tools::break_calls({{SYS_fsync, EIO}});
        for (auto* writer : {top.get(), nested.get()}) {
            writer->write(as_bytes("x"));
            auto error = error_of([&] { writer->commit(); });
            expect(error.code() == Code::repository_unreachable, error.what());
            expect(!error.transient(), "must not be retried");
        }
        expect(!storage->stat("top") && !storage->stat("a/b"), "visible although not durable");
        base::SystemRandom random;
        auto error = error_of([&] { probe(*storage, random); });
        expect(error.code() == Code::repository_unreachable, error.what());
    });
}

// rule 30
TEST(PosixFaultsTest, WithoutHardLinksItRenamesWithoutReplacing)
{
    base::TempDir dir;
    expect_child([&] {
        testing_tools::break_calls({{SYS_linkat, EPERM}, {SYS_link, EPERM}});
        auto storage = open_directory(dir.path());
        base::SystemRandom random;
        probe(*storage, random);
        expect(put(*storage, "k", as_bytes("one")) == Created::yes, "first");
        expect(put(*storage, "k", as_bytes("two")) == Created::already_there, "second");
        expect(base::as_text(get(*storage, "k", 10).value()) == "one", "content");
    });
}

// rule 30
TEST(PosixFaultsTest, AFileSystemThatCanOnlyOverwriteIsRefused)
{
    base::TempDir dir;
    expect_child([&] {
        testing_tools::break_calls(
            {{SYS_linkat, EPERM}, {SYS_link, EPERM}, {SYS_renameat2, EINVAL}});
        auto storage = open_directory(dir.path());
        base::SystemRandom random;
        auto error = error_of([&] { probe(*storage, random); });
        expect(error.code() == Code::repository_unreachable, error.what());
        expect(error.message().find("neither link") != std::string::npos, error.what());
        expect(error.hint().find("another file system") != std::string::npos, error.hint());
        expect(storage->list("").empty(), "something is visible");
    });
}

TEST(PosixFaultsTest, OfRacingProcessesExactlyOneWins)
{
    constexpr int kProcesses = 6;
    constexpr int kKeys = 60;
    base::TempDir dir;
    testing_tools::Pipe won;
    std::vector<pid_t> children;
    for (int child = 0; child < kProcesses; ++child) {
        children.push_back(testing_tools::start_child([&] {
            auto storage = open_directory(dir.path());
            for (int key = 0; key < kKeys; ++key) {
                auto text = fmt::format("{:02} {:02}\n", key, child);
                auto name = fmt::format("leases/{}/1", key);
                if (put(*storage, name, as_bytes(text)) == Created::yes) {
                    base::write_full(won.out.get(), as_bytes(text), "pipe");
                }
            }
        }));
    }
    won.out.reset();
    base::Bytes buffer(10'000);
    buffer.resize(base::read_full(won.in.get(), buffer, "pipe"));
    for (pid_t child : children)
        EXPECT_EQ(testing_tools::wait_child(child), 0);
    EXPECT_EQ(buffer.size(), kKeys * 6U) << "one winner for each key";
    auto storage = open_directory(dir.path());
    for (std::string_view rest = base::as_text(buffer); rest.size() >= 6; rest.remove_prefix(6)) {
        auto name = fmt::format("leases/{}/1", std::stoi(std::string(rest.substr(0, 2))));
        EXPECT_EQ(base::as_text(get(*storage, name, 10).value()), rest.substr(0, 6)) << name;
    }
}

/// What object `n` of a writer holds: any size, told by its number.
base::Bytes numbered(std::uint64_t n)
{
    base::SeededRandom random{n};
    base::Bytes bytes(random.below(3 << 20));
    random.fill(bytes);
    return bytes;
}

TEST(PosixFaultsTest, AWriterKilledAtAnyMomentLeavesWholeObjectsOnly)
{
    std::uint64_t seed = base::SystemRandom{}.next();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    base::SeededRandom random{seed};
    std::size_t objects_seen = 0;
    for (int round = 0; round < 25; ++round) {
        base::TempDir dir;
        testing_tools::Pipe done;
        pid_t child = testing_tools::start_child([&] {
            auto storage = open_directory(dir.path());
            for (std::uint64_t n = 0; n < 1000; ++n) {
                put(*storage, fmt::format("log/{}", n), numbered(n));
                base::write_full(done.out.get(), as_bytes("."), "pipe");
            }
        });
        done.out.reset();
        // After some acknowledgements, in the middle of whatever comes next.
        base::Bytes acknowledged(random.below(5));
        std::size_t promised = base::read_full(done.in.get(), acknowledged, "pipe");
        std::this_thread::sleep_for(std::chrono::microseconds{random.below(10'000)});
        ::kill(child, SIGKILL);
        EXPECT_EQ(testing_tools::wait_child(child), -SIGKILL);
        acknowledged.resize(1000);
        promised += base::read_full(done.in.get(), acknowledged, "pipe");

        auto storage = open_directory(dir.path());
        auto objects = storage->list("");
        EXPECT_GE(objects.size(), promised);
        EXPECT_LE(objects.size(), promised + 1);
        for (const auto& object : objects) {
            auto bytes = get(*storage, object.key, 4 << 20);
            ASSERT_TRUE(bytes == numbered(std::stoull(object.key.substr(4)))) << object.key;
        }
        objects_seen += objects.size();
    }
    EXPECT_GT(objects_seen, 0U);
}

TEST(PosixFaultsTest, ABigObjectIsNotHeldInMemory)
{
    base::TempDir dir;
    expect_child([&] {
        auto peak_kib = [] {
            rusage usage = {};
            ::getrusage(RUSAGE_SELF, &usage);
            return usage.ru_maxrss;
        };
        auto storage = open_directory(dir.path());
        base::Bytes piece(100'000, std::byte{1});
        put(*storage, "warm-up", piece);
        long before = peak_kib();
        auto writer = storage->create("big");
        for (int i = 0; i < 1000; ++i)
            writer->write(piece);
        expect(writer->commit() == Created::yes, "commit");
        expect(storage->stat("big")->size == 100'000'000, "size");
        expect(peak_kib() - before < 8L * 1024, fmt::format("grew by {} KiB", peak_kib() - before));
    });
}

} // namespace
} // namespace tidemark::store
