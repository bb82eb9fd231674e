#include "app/demo/lab_folder.h"

#include "base/error.h"

#include <cerrno>
#include <cstdlib>
#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace tidemark::app {

namespace {

namespace fs = std::filesystem;

/// A socket's path may have 107 bytes; below us come "/NAME/socket/.s.PGSQL.5432.lock".
constexpr std::size_t kLongestTemporaryFolder = 40;

void make_private(const fs::path& path)
{
    if (::mkdir(path.c_str(), 0700) != 0) {
        throw base::system_error(fmt::format("cannot make the folder {}", path.string()), errno);
    }
    give_to_lab_user(path);
}

fs::path make_temporary()
{
    std::error_code error;
    fs::path parent = fs::temp_directory_path(error);
    if (error || parent.string().size() > kLongestTemporaryFolder) parent = "/tmp";
    std::string name = (parent / "tidemark-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) {
        throw base::system_error(fmt::format("cannot make a folder in {}", parent.string()), errno);
    }
    give_to_lab_user(name);
    return name;
}

} // namespace

std::optional<base::User> lab_user()
{
    if (::geteuid() != 0) return {};
    return base::lookup_user(::getpwnam("postgres") != nullptr ? "postgres" : "nobody");
}

void give_to_lab_user(const fs::path& path)
{
    auto user = lab_user();
    if (!user) return;
    if (::lchown(path.c_str(), user->uid, user->gid) != 0) {
        throw base::system_error(
            fmt::format("cannot give {} to user {}", path.string(), user->name), errno);
    }
}

LabFolder::LabFolder() : path_(make_temporary()) {}

LabFolder::LabFolder(fs::path path) : path_(std::move(path)), remove_(false)
{
    path_ = fs::absolute(path_).lexically_normal();
    if (!path_.has_filename()) path_ = path_.parent_path();
    std::error_code error;
    if (fs::exists(path_, error) &&
        !(fs::is_directory(path_, error) && fs::is_empty(path_, error))) {
        throw base::Error{base::Code::target_not_empty,
                          fmt::format("{} is not an empty folder", path_.string()),
                          {.hint = "name a folder that does not exist yet"}};
    }
    if (fs::exists(path_, error)) {
        give_to_lab_user(path_);
        fs::permissions(path_, fs::perms::owner_all);
    } else {
        make_private(path_);
    }
}

LabFolder::LabFolder(LabFolder&& other) noexcept
    : path_(std::move(other.path_)), remove_(std::exchange(other.remove_, false))
{
}

LabFolder::~LabFolder()
{
    std::error_code ignored;
    if (remove_) fs::remove_all(path_, ignored);
}

fs::path LabFolder::make(const std::string& name) const
{
    fs::path path = path_ / name;
    make_private(path);
    return path;
}

} // namespace tidemark::app
