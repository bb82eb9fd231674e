#include "store/posix.h"

#include "base/check.h"
#include "base/log.h"
#include "store/key.h"
#include "store/posix_clock.h"
#include "store/posix_tree.h"
#include "store/posix_writer.h"

#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <functional>
#include <limits>
#include <set>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace tidemark::store {

using base::Fd;

namespace {

constexpr std::chrono::hours kStaleAge{24};

struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
};

ObjectInfo object_info(std::string key, const struct stat& info)
{
    return {std::move(key), static_cast<std::uint64_t>(info.st_size), modified_time(info)};
}

class FileSource final : public base::ByteSource {
public:
    FileSource(std::shared_ptr<const PosixTree> tree, std::string key, Fd file, Range range)
        : tree_(std::move(tree)), key_(std::move(key)), file_(std::move(file)), range_(range)
    {
    }

    std::size_t read(base::ByteSpan into) override
    {
        std::size_t wanted = std::min<std::uint64_t>(into.size(), range_.length);
        if (wanted == 0) return 0;
        ssize_t got = 0;
        do {
            got = ::pread(file_.get(), into.data(), wanted, static_cast<off_t>(range_.offset));
        } while (got < 0 && errno == EINTR);
        if (got < 0) throw tree_->error("read", key_, errno);
        auto count = static_cast<std::size_t>(got);
        range_.offset += count;
        range_.length = count == 0 ? 0 : range_.length - count;
        return count;
    }

private:
    std::shared_ptr<const PosixTree> tree_;
    std::string key_;
    Fd file_;
    Range range_; ///< what is left
};

class PosixStorage final : public Storage {
public:
    explicit PosixStorage(std::shared_ptr<PosixTree> tree) : tree_(std::move(tree)), clock_(tree_)
    {
    }

    Traits traits() override;
    std::unique_ptr<ObjectWriter> create(std::string_view key) override;
    std::unique_ptr<base::ByteSource> open(std::string_view key,
                                           std::optional<Range> range) override;
    std::optional<ObjectInfo> stat(std::string_view key) override;
    std::vector<ObjectInfo> list(std::string_view prefix) override;
    std::vector<std::string> folders(std::string_view prefix) override;
    bool remove(std::string_view key) override;
    base::Time now() override { return clock_.now(); }

    void remove_stale_files();

private:
    struct Walk {
        std::function<bool(const std::string& key)> passes; ///< files and folders; empty: all
        std::function<void(ObjectInfo)> take;
    };
    void list_folder(Fd folder, const std::string& path, std::string_view prefix, const Walk& walk);

    std::shared_ptr<PosixTree> tree_;
    PosixClock clock_;
};

Traits PosixStorage::traits()
{
    struct statvfs space = {};
    struct stat info = {};
    tree_->require_root();
    if (::fstatvfs(tree_->root_fd(), &space) != 0 || ::fstat(tree_->root_fd(), &info) != 0) {
        throw tree_->error("examine", "", errno);
    }
    return {.kind = "directory",
            .where = tree_->root().native(),
            .free_bytes = std::uint64_t{space.f_bavail} * space.f_frsize,
            .device = info.st_dev,
            .reads_back = tree_->reads_back()};
}

std::unique_ptr<ObjectWriter> PosixStorage::create(std::string_view key)
{
    require_key(key);
    return std::make_unique<PosixWriter>(tree_, std::string(key));
}

std::unique_ptr<base::ByteSource> PosixStorage::open(std::string_view key,
                                                     std::optional<Range> range)
{
    require_key(key);
    auto place = tree_->find(key);
    if (!place) return nullptr;
    auto seen = tree_->look(*place, key);
    if (!seen || !S_ISREG(seen->st_mode)) return nullptr;
    // Between the look and this a link cannot slip in: O_NOFOLLOW; a pipe cannot hang us:
    // O_NONBLOCK.
    Fd file{::openat(place->folder.get(), place->name.c_str(),
                     O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
    if (!file && errno == ENOENT) return nullptr;
    if (!file) throw tree_->error("open", key, errno);
    if (!range) ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
    constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<off_t>::max());
    Range part = range.value_or(Range{0, kMost});
    if (part.offset >= kMost) part = {0, 0};
    return std::make_unique<FileSource>(tree_, std::string(key), std::move(file), part);
}

std::optional<ObjectInfo> PosixStorage::stat(std::string_view key)
{
    require_key(key);
    auto place = tree_->find(key);
    if (!place) return std::nullopt;
    auto info = tree_->look(*place, key);
    if (!info || !S_ISREG(info->st_mode)) return std::nullopt;
    return object_info(std::string(key), *info);
}

std::vector<ObjectInfo> PosixStorage::list(std::string_view prefix)
{
    require_prefix(prefix);
    tree_->require_root();
    auto place = tree_->find(prefix);
    if (!place) return {};
    std::vector<ObjectInfo> out;
    std::string path{prefix.substr(0, prefix.size() - place->name.size())};
    list_folder(std::move(place->folder), path, prefix,
                {.passes = {}, .take = [&](ObjectInfo info) { out.push_back(std::move(info)); }});
    // Not the order of a walk: '-' and '.' sort before '/'.
    std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
    return out;
}

/// The first object in a folder tells as much as all the others: a year holds thousands.
std::vector<std::string> PosixStorage::folders(std::string_view prefix)
{
    require_prefix(prefix);
    CHECK(prefix.empty() || prefix.ends_with('/'));
    tree_->require_root();
    auto place = tree_->find(prefix);
    if (!place) return {};
    std::set<std::string> out;
    auto name_of = [&](const std::string& key) {
        return key.substr(prefix.size(), key.find('/', prefix.size()) - prefix.size());
    };
    list_folder(std::move(place->folder), std::string(prefix), prefix,
                {.passes = [&](const std::string& key) { return !out.contains(name_of(key)); },
                 .take =
                     [&](const ObjectInfo& info) {
                         if (info.key.find('/', prefix.size()) != std::string::npos)
                             out.insert(name_of(info.key));
                     }});
    return {out.begin(), out.end()};
}

/// Takes what is below `folder`, whose keys start with `path`. Whatever vanishes meanwhile is left
/// out.
void PosixStorage::list_folder(Fd folder, const std::string& path, std::string_view prefix,
                               const Walk& walk)
{
    // A descriptor of its own: duplicates share the position in the folder.
    Fd listing{::openat(folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!listing) throw tree_->error("list", path, errno);
    std::unique_ptr<DIR, CloseDirectory> directory{::fdopendir(listing.get())};
    if (!directory) throw tree_->error("list", path, errno);
    listing.release();
    while (true) {
        errno = 0;
        const dirent* entry = ::readdir(directory.get());
        if (entry == nullptr && errno != 0) throw tree_->error("list", path, errno);
        if (entry == nullptr) return;
        std::string key = path + entry->d_name;
        bool below = std::string_view(key).substr(0, prefix.size()) == prefix.substr(0, key.size());
        if (!below || !valid_key(key) || key == "lost+found") continue;
        if (walk.passes && !walk.passes(key)) continue;
        struct stat info = {};
        if (::fstatat(folder.get(), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno == ENOENT) continue;
            throw tree_->error("examine", key, errno);
        }
        if (S_ISREG(info.st_mode) && key.starts_with(prefix)) {
            walk.take(object_info(std::move(key), info));
        } else if (S_ISDIR(info.st_mode)) {
            Fd inner = tree_->enter(folder.get(), entry->d_name, key);
            if (inner) list_folder(std::move(inner), key + "/", prefix, walk);
        }
    }
}

bool PosixStorage::remove(std::string_view key)
{
    require_key(key);
    auto place = tree_->find(key);
    if (!place) return false;
    auto info = tree_->look(*place, key);
    if (info && !S_ISREG(info->st_mode)) return false;
    bool removed = info && ::unlinkat(place->folder.get(), place->name.c_str(), 0) == 0;
    if (info && !removed && errno != ENOENT) throw tree_->error("remove", key, errno);
    // Also when somebody else removed it: what we report as gone must not come back.
    if (::fsync(place->folder.get()) != 0)
        throw tree_->error("make the removal durable of", key, errno);
    return removed;
}

void PosixStorage::remove_stale_files()
{
    Fd folder = tree_->enter(tree_->root_fd(), kTemporaryFolder, kTemporaryFolder);
    if (!folder) return;
    base::Time now = clock_.now();
    Fd listing{::openat(folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    std::unique_ptr<DIR, CloseDirectory> directory{listing ? ::fdopendir(listing.get()) : nullptr};
    if (!directory) return;
    listing.release();
    while (const dirent* entry = ::readdir(directory.get())) {
        if (!is_temporary_name(entry->d_name)) continue;
        Fd file{
            ::openat(folder.get(), entry->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
        struct stat info = {};
        if (!file || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
        // A writer that lives, however slow, holds the lock.
        bool old = now - modified_time(info) > kStaleAge;
        if (old && ::flock(file.get(), LOCK_EX | LOCK_NB) == 0) {
            ::unlinkat(folder.get(), entry->d_name, 0);
        }
    }
}

} // namespace

std::unique_ptr<Storage> open_directory(const std::filesystem::path& root,
                                        const DirectoryOptions& options)
{
    auto storage = std::make_unique<PosixStorage>(std::make_shared<PosixTree>(root, options));
    try {
        storage->remove_stale_files();
    } catch (const base::Error& error) {
        // Leftovers cost space, nothing else.
        base::log_debug("leftovers of old writers were not removed: {}", error.what());
    }
    return storage;
}

} // namespace tidemark::store
