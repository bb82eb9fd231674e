#include "engine/postgres/tablespace_places.h"

#include "base/error.h"
#include "base/real_folder.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <fmt/format.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

namespace tidemark::engine::postgres {

namespace {

namespace fs = std::filesystem;
using base::Code;
using base::Error;

[[noreturn]] void fail_to_place(const fs::path& place, int why)
{
    if (why == EEXIST || why == ENOTEMPTY)
        throw Error{Code::target_not_empty,
                    fmt::format("{} is there already, where a tablespace that the log creates is "
                                "to go",
                                place.native()),
                    {.hint = "move it away, then run the same command again"}};
    throw base::system_error(fmt::format("cannot move a tablespace to {}", place.native()), why);
}

enum class Kind { none, link, folder };

Kind kind_of(const base::Fd& folder, const std::string& name)
{
    struct stat info = {};
    if (::fstatat(folder.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return Kind::none;
    return S_ISLNK(info.st_mode) ? Kind::link : Kind::folder;
}

void move_out(const base::Fd& links, std::uint32_t oid, const fs::path& place,
              const std::optional<base::User>& user)
{
    auto name = std::to_string(oid);
    auto found = kind_of(links, name);
    if (found == Kind::link) return; // of the base backup, or moved before
    auto above = base::open_real_folder(place.parent_path());
    auto leaf = place.filename().native();
    if (found == Kind::folder) {
        // A rename that replaces nothing: what lies there may be somebody's. Where the file system
        // cannot do that, an empty folder is the most that it may replace.
        auto moved =
            ::renameat2(links.get(), name.c_str(), above.get(), leaf.c_str(), RENAME_NOREPLACE);
        if (moved != 0 && (errno == EINVAL || errno == ENOSYS))
            moved = ::renameat(links.get(), name.c_str(), above.get(), leaf.c_str());
        if (moved != 0) fail_to_place(place, errno);
    } else if (kind_of(above, leaf) != Kind::folder) {
        return; // dropped before the goal
    }
    if (::symlinkat(place.c_str(), links.get(), name.c_str()) != 0) fail_to_place(place, errno);
    if (user &&
        ::fchownat(links.get(), name.c_str(), user->uid, user->gid, AT_SYMLINK_NOFOLLOW) != 0)
        fail_to_place(place, errno);
    base::fsync_fd(above.get(), place.parent_path().native());
}

} // namespace

void move_tablespaces_out(const fs::path& data_dir, const std::map<std::uint32_t, fs::path>& places,
                          const std::optional<base::User>& user)
{
    if (places.empty()) return;
    auto links = base::open_real_folder(data_dir / "pg_tblspc");
    for (const auto& [oid, place] : places)
        move_out(links, oid, place, user);
    base::fsync_fd(links.get(), (data_dir / "pg_tblspc").native());
}

} // namespace tidemark::engine::postgres
