#include "job/scratch.h"

#include "base/error.h"
#include "base/real_folder.h"
#include "job/restore_places.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace tidemark::job {

using base::Code;
using base::Error;
namespace fs = std::filesystem;

namespace {

constexpr std::string_view kPrefix = "tidemark-drill-";
/// A server makes log in segments of this size and ends where it cannot.
constexpr std::uint64_t kLeast = 16U << 20;
constexpr const char* kOwnerFile = "owner";
constexpr std::string_view kMagic = "a drill of tidemark works here\n";

void require_enterable(const fs::path& parent, const base::User& user)
{
    for (auto folder = parent;; folder = folder.parent_path()) {
        if (!may_enter(folder, user))
            throw Error{
                Code::member_not_ready,
                fmt::format("the servers' user {} cannot enter {}", user.name, folder.string()),
                {.hint = "name another folder for the drill with --dir"}};
        if (folder == folder.parent_path()) return;
    }
}

/// The lock of a drill that is no more; nothing when it lives or is no drill's folder.
base::Fd lock_of_the_dead(const fs::path& folder)
{
    base::Fd fd{::open((folder / kOwnerFile).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
    if (!fd.valid() || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return {};
    base::Bytes text(kMagic.size());
    auto got = base::read_full(fd.get(), text, folder.string());
    return got == kMagic.size() && base::as_text(text) == kMagic ? std::move(fd) : base::Fd{};
}

fs::path make_scratch_folder(const fs::path& parent, const std::optional<base::User>& owner)
{
    auto place = base::resolve_links(parent);
    if (owner) require_enterable(place, *owner);
    auto name = (place / kPrefix).string() + "XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) {
        auto error = base::system_error("cannot make a folder in " + place.string(), errno);
        throw Error{error.code(),
                    error.message(),
                    {.hint = "name another folder for the drill with --dir"}};
    }
    return name;
}

struct Room {
    std::uint64_t bytes = 0;
    bool more_files = true;
};

Room room_in(const fs::path& folder)
{
    struct statvfs info = {};
    if (::statvfs(folder.c_str(), &info) != 0)
        throw base::system_error("cannot look at " + folder.string(), errno);
    // Without a limit for files both are 0.
    return {.bytes = static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize,
            .more_files = info.f_files == 0 || info.f_favail != 0};
}

} // namespace

Scratch::Scratch(const fs::path& parent, const std::optional<base::User>& owner)
    : Scratch(make_scratch_folder(parent, owner))
{
    // What throws from here on leaves no folder: it would be nobody's for ever.
    lock_ = base::open_file(path_ / kOwnerFile, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (::flock(lock_.get(), LOCK_EX) != 0)
        throw base::system_error("cannot lock " + path_.string(), errno);
    base::write_full(lock_.get(), base::as_bytes(kMagic), path_.string());
    if (owner && ::fchmod(base::open_real_folder(path_).get(), 0711) != 0)
        throw base::system_error("cannot let the servers' user enter " + path_.string(), errno);
}

Scratch::~Scratch()
{
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
}

void Scratch::remove()
{
    std::error_code error;
    fs::remove_all(path_, error);
    if (error)
        throw Error{Code::failed,
                    fmt::format("cannot remove {}: {}", path_.string(), error.message()),
                    {.hint = "remove it by hand"}};
    path_.clear();
}

void Scratch::keep()
{
    std::error_code ignored;
    fs::remove(path_ / kOwnerFile, ignored);
    path_.clear();
}

std::vector<fs::path> remove_abandoned(const fs::path& parent,
                                       const std::function<void(const fs::path&)>& stop_servers)
{
    std::vector<fs::path> removed;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(parent, error)) {
        if (!entry.path().filename().string().starts_with(kPrefix) || entry.is_symlink()) continue;
        auto lock = lock_of_the_dead(entry.path());
        if (!lock.valid()) continue;
        stop_servers(entry.path());
        std::error_code stays;
        fs::remove_all(entry.path(), stays);
        if (!stays) removed.push_back(entry.path());
    }
    return removed;
}

void require_space(const fs::path& parent, std::uint64_t needed, const std::string& what_for)
{
    auto available = room_in(parent).bytes;
    if (available >= needed) return;
    throw Error{Code::out_of_space,
                fmt::format("{} has {} free, the drill needs {} ({})", parent.string(),
                            base::format_size(available), base::format_size(needed), what_for),
                {.hint = "free space there, or name another folder with --dir"}};
}

void require_room_left(const fs::path& folder, const std::string& what)
{
    auto room = room_in(folder);
    if (room.bytes >= kLeast && room.more_files) return;
    throw Error{Code::out_of_space,
                fmt::format("the disk of {} has become full ({} free): {}", folder.string(),
                            base::format_size(room.bytes), what),
                {.hint = "free space there, or name another folder for the drill with --dir"}};
}

} // namespace tidemark::job
