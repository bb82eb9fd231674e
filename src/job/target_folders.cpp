#include "job/target_folders.h"

#include "base/error.h"

#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tidemark::job {

using base::Code;
using base::Error;
using base::Fd;
namespace fs = std::filesystem;

namespace {

Fd open_or_make(const fs::path& path)
{
    std::error_code error;
    fs::create_directories(path.parent_path(), error);
    auto parent = base::with_context("making " + path.native(),
                                     [&] { return base::open_real_folder(path.parent_path()); });
    auto name = path.filename();
    if (::mkdirat(parent.get(), name.c_str(), 0700) != 0 && errno != EEXIST)
        throw base::system_error("cannot create " + path.native(), errno);
    Fd made{::openat(parent.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
    if (made) return made;
    if (errno != ENOTDIR && errno != ELOOP)
        throw base::system_error("cannot open " + path.native(), errno);
    throw Error{Code::target_not_empty,
                path.native() + " is not a folder, or a link leads there: it is left alone",
                {.hint = "remove it, or choose another folder"}};
}

void give(const Fd& folder, const fs::path& path, const std::optional<Owner>& owner, mode_t mode)
{
    auto to = owner.value_or(Owner{::geteuid(), ::getegid()});
    if (base::owner_of(folder, path.native()) != to.uid &&
        ::fchown(folder.get(), to.uid, to.gid) != 0) {
        throw base::system_error("cannot give " + path.native() + " to its user", errno);
    }
    if (::fchmod(folder.get(), mode) != 0)
        throw base::system_error("cannot set the mode of " + path.native(), errno);
}

} // namespace

Fd make_folder(const fs::path& path, const std::optional<Owner>& owner, mode_t mode)
{
    auto folder = open_or_make(path);
    auto has = base::owner_of(folder, path.native());
    if (has != ::geteuid() && (!owner || has != owner->uid)) {
        throw Error{Code::target_not_empty,
                    path.native() + " belongs to another account: it is left alone",
                    {.hint = "remove it, or choose another folder"}};
    }
    give(folder, path, owner, mode);
    return folder;
}

Fd take_folder(const fs::path& path, const std::optional<Owner>& owner, mode_t mode)
{
    auto folder = open_or_make(path);
    give(folder, path, owner, mode);
    return folder;
}

void copy_program(const fs::path& from, const Fd& folder, const std::string& name)
{
    ::unlinkat(folder.get(), name.c_str(), 0);
    auto to = base::path_within(folder, name);
    std::error_code error;
    if (!fs::copy_file(from, to, error))
        throw base::system_error(fmt::format("cannot copy {} to {}", from.native(), name),
                                 error.value());
    Fd copy{::openat(folder.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC)};
    if (!copy || ::fchmod(copy.get(), 0755) != 0)
        throw base::system_error("cannot set the mode of " + name, errno);
}

} // namespace tidemark::job
