#include "engine/postgres/cluster_walk.h"

#include "base/error.h"
#include "base/log.h"
#include "base/open_beneath.h"
#include "engine/postgres/backup_rules.h"
#include "engine/postgres/control_file.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <memory>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

namespace tidemark::engine::postgres {

namespace {

using base::Code;
using base::Error;
using base::Fd;
using model::FileKind;

std::vector<std::string> names_in(const Fd& directory, const std::filesystem::path& what)
{
    Fd copy{::fcntl(directory.get(), F_DUPFD_CLOEXEC, 3)};
    std::unique_ptr<DIR, int (*)(DIR*)> stream{::fdopendir(copy.get()), ::closedir};
    if (!stream) throw unreadable("list", what, errno);
    copy.release();
    ::rewinddir(stream.get());
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(stream.get())) {
        std::string name = entry->d_name;
        if (name != "." && name != "..") names.push_back(std::move(name));
        errno = 0;
    }
    if (errno != 0) throw unreadable("list", what, errno);
    std::sort(names.begin(), names.end());
    return names;
}

base::Time time_of(const timespec& time)
{
    return base::Time{std::chrono::duration_cast<base::Duration>(
        std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec})};
}

std::string join(const std::string& folder, const std::string& name)
{
    return folder.empty() ? name : folder + "/" + name;
}

class Walker {
public:
    Walker(Walk& walk, std::string version_folder)
        : walk_(walk), version_folder_(std::move(version_folder))
    {
    }

    /// Where the files of one listing are found.
    struct Root {
        std::uint32_t number = 0;
        std::uint32_t prefix = 0;
        std::uint32_t listing = 0;
    };

    /// Lists `directory`, which stands at `path` in the backup.
    void list(const Fd& directory, Root root, const std::string& path)
    {
        root.listing = static_cast<std::uint32_t>(walk_.listings.size());
        walk_.listings.push_back({path, root.number, root.prefix});
        auto names = names_in(directory, shown(path));
        std::set<std::string, std::less<>> init;
        bool relations = holds_relations(path);
        if (relations) {
            for (const auto& name : names) {
                auto file = parse_relation_file(name);
                if (file && file->fork == Fork::init) init.emplace(file->number);
            }
        }
        for (const auto& name : names) {
            if (is_excluded_file(name)) continue;
            if (relations && is_left_out(name, init)) continue;
            visit(directory, root, join(path, name), name);
        }
    }

private:
    std::filesystem::path shown(const std::string& path) const { return walk_.data_dir / path; }

    void visit(const Fd& parent, const Root& root, const std::string& path, const std::string& name)
    {
        struct stat info = {};
        if (::fstatat(parent.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno == ENOENT) return;
            throw unreadable("examine", shown(path), errno);
        }
        if (is_emptied_directory(name) || path == "pg_wal") {
            // Also when it is a link: the restored folder is a plain one.
            mode_t mode = S_ISDIR(info.st_mode) ? info.st_mode : 0700;
            add_folder(path, mode, info);
            if (path == "pg_wal") {
                add_folder("pg_wal/archive_status", mode, info);
                struct stat summaries = {}; // 17 and later
                if (::fstatat(parent.get(), "pg_wal/summaries", &summaries, 0) == 0) {
                    add_folder("pg_wal/summaries", mode, info);
                }
            }
        } else if (S_ISLNK(info.st_mode)) {
            visit_link(parent, path, name, info);
        } else if (S_ISDIR(info.st_mode)) {
            if (is_tablespace_inside(info)) return;
            add_folder(path, info.st_mode, info);
            Fd fd{base::open_beneath(parent.get(), name.c_str(), O_RDONLY | O_DIRECTORY)};
            if (fd) {
                list(fd, root, path);
            } else if (errno != ENOENT) {
                throw unreadable("open", shown(path), errno);
            }
        } else if (S_ISREG(info.st_mode)) {
            if (path != kControlPath) add_file(name, root, info);
        } else {
            base::log_debug("left out of the backup: {} is a special file", path);
        }
    }

    void visit_link(const Fd& parent, const std::string& path, const std::string& name,
                    const struct stat& info)
    {
        std::string target(PATH_MAX, '\0');
        auto length = ::readlinkat(parent.get(), name.c_str(), target.data(), target.size());
        if (length < 0) {
            if (errno == ENOENT) return;
            throw unreadable("read the link", shown(path), errno);
        }
        target.resize(static_cast<std::size_t>(length));
        if (path.starts_with("pg_tblspc/")) {
            visit_tablespace(path, target, info);
        } else if (name == "base" || name == "global" || name.starts_with("pg_")) {
            throw Error{Code::member_not_ready,
                        fmt::format("{} in the data directory is a link to {}", path, target),
                        {.hint = "only pg_wal and tablespaces may be links; no base backup of "
                                 "PostgreSQL follows others"}};
        } else {
            base::log_warning("left out of the backup: {} is a link to {}", path, target);
        }
    }

    void visit_tablespace(const std::string& path, const std::string& target,
                          const struct stat& info)
    {
        model::FileEntry link;
        link.kind = FileKind::tablespace_link;
        link.path = path;
        link.link_target = target;
        link.mode = 0700;
        link.modified = time_of(info.st_mtim);
        walk_.folders.push_back(link);
        Fd place{::open(target.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
        if (!place) throw unreadable("open the tablespace", target, errno);
        Fd own{base::open_beneath(place.get(), version_folder_.c_str(), O_RDONLY | O_DIRECTORY)};
        if (!own) {
            if (errno == ENOENT) return; // made or dropped just now
            throw unreadable("open", std::filesystem::path(target) / version_folder_, errno);
        }
        struct stat own_info = {};
        if (::fstat(own.get(), &own_info) != 0) {
            throw unreadable("examine", target, errno);
        }
        auto inside = join(path, version_folder_);
        add_folder(inside, own_info.st_mode, own_info);
        Root root{static_cast<std::uint32_t>(walk_.roots.size()),
                  static_cast<std::uint32_t>(inside.size() + 1)};
        // Listing may add roots, and the vector then moves its descriptors.
        Fd listed{::fcntl(own.get(), F_DUPFD_CLOEXEC, 3)};
        walk_.roots.push_back(std::move(own));
        list(listed, root, inside);
    }

    /// Tablespaces may lie inside the data directory; they are copied through their link.
    bool is_tablespace_inside(const struct stat& info) const
    {
        return std::any_of(inside_.begin(), inside_.end(), [&](const auto& id) {
            return id.first == info.st_dev && id.second == info.st_ino;
        });
    }

    void add_folder(const std::string& path, mode_t mode, const struct stat& info)
    {
        model::FileEntry entry;
        entry.kind = FileKind::directory;
        entry.path = path;
        entry.mode = mode & 07777U;
        entry.modified = time_of(info.st_mtim);
        walk_.folders.push_back(std::move(entry));
    }

    void add_file(const std::string& name, const Root& root, const struct stat& info)
    {
        WalkedFile file;
        file.name = name;
        file.listing = root.listing;
        file.mode = info.st_mode & 07777U;
        file.modified = time_of(info.st_mtim);
        file.size = static_cast<std::uint64_t>(info.st_size);
        walk_.bytes += file.size;
        walk_.files.push_back(std::move(file));
    }

public:
    /// Learns where the links of pg_tblspc lead, before anything is listed.
    void learn_tablespaces(const Fd& data_dir)
    {
        Fd folder{base::open_beneath(data_dir.get(), "pg_tblspc", O_RDONLY | O_DIRECTORY)};
        if (!folder) throw unreadable("open", shown("pg_tblspc"), errno);
        for (const auto& name : names_in(folder, shown("pg_tblspc"))) {
            struct stat link = {};
            struct stat info = {};
            if (::fstatat(folder.get(), name.c_str(), &link, AT_SYMLINK_NOFOLLOW) != 0 ||
                !S_ISLNK(link.st_mode)) {
                continue;
            }
            if (::fstatat(folder.get(), name.c_str(), &info, 0) == 0) {
                inside_.emplace_back(info.st_dev, info.st_ino);
            }
        }
    }

private:
    Walk& walk_;
    std::string version_folder_;
    std::vector<std::pair<dev_t, ino_t>> inside_;
};

Fd open_folder(const std::filesystem::path& path)
{
    Fd fd{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!fd) throw unreadable("open", path, errno);
    return fd;
}

} // namespace

Error unreadable(std::string_view doing, const std::filesystem::path& path, int why)
{
    auto text = fmt::format("cannot {} {}", doing, path.native());
    if (why != EACCES && why != EPERM) return base::system_error(text, why);
    return {Code::member_not_ready,
            base::system_error(text, why).message(),
            {.hint = "run tidemark as a user who may read the data directory, or leave data_dir "
                     "out: then base backups come over the wire"}};
}

Walk walk_cluster(const std::filesystem::path& data_dir, const std::string& version_folder)
{
    Walk walk;
    walk.data_dir = data_dir;
    Fd top = open_folder(data_dir);
    walk.roots.push_back(open_folder(data_dir));
    Walker walker{walk, version_folder};
    walker.learn_tablespaces(top);
    walker.list(top, {}, "");
    return walk;
}

std::string Walk::path(const WalkedFile& file) const
{
    return join(listings[file.listing].path, file.name);
}

model::FileEntry Walk::entry(const WalkedFile& file) const
{
    model::FileEntry out;
    out.index = file.index;
    out.path = path(file);
    out.mode = file.mode;
    out.modified = file.modified;
    out.size = file.size;
    return out;
}

base::Fd Walk::open(const WalkedFile& file) const
{
    auto whole = path(file);
    const auto& listing = listings[file.listing];
    Fd fd{
        base::open_beneath(roots.at(listing.root).get(), whole.c_str() + listing.prefix, O_RDONLY)};
    if (!fd && errno != ENOENT) throw unreadable("open", data_dir / whole, errno);
    return fd;
}

} // namespace tidemark::engine::postgres
