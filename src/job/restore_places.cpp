#include "job/restore_places.h"

#include "base/error.h"
#include "base/real_folder.h"
#include "base/subprocess.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace tidemark::job {

using base::Code;
using base::Error;
namespace fs = std::filesystem;

namespace {

struct NamedPlace {
    std::string what; ///< "member a", "tablespace 16385 of a"
    fs::path path;
    fs::path allowed; ///< the member's own folder, within which it may lie
    bool is_member = false;
};

bool is_within(const fs::path& path, const fs::path& folder)
{
    return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first ==
           folder.end();
}

bool overlap(const fs::path& one, const fs::path& other)
{
    return is_within(one, other) || is_within(other, one);
}

std::vector<NamedPlace> places_of(const repo::RestorePlan& plan, const RestoreOptions& options)
{
    std::vector<NamedPlace> places;
    for (const auto& [name, member] : plan.members) {
        auto folder = member_folder(options, name);
        places.push_back({"member " + name, folder, {}, true});
        for (const auto& [oid, location] : member.backup.value.facts.tablespaces) {
            auto path = tablespace_folder(options, name, oid);
            bool ours = path.parent_path() == folder / "tablespaces";
            places.push_back(
                {fmt::format("tablespace {} of {}", oid, name), path, ours ? folder : fs::path{}});
        }
    }
    return places;
}

void require_apart(const std::vector<NamedPlace>& places)
{
    for (std::size_t i = 0; i < places.size(); ++i) {
        for (std::size_t k = i + 1; k < places.size(); ++k) {
            const auto& one = places[i];
            const auto& other = places[k];
            if (!overlap(one.path, other.path) || other.allowed == one.path ||
                one.allowed == other.path)
                continue;
            throw Error{Code::usage,
                        fmt::format("{} and {} cannot both have their place: {} and {}", one.what,
                                    other.what, one.path.string(), other.path.string()),
                        {.hint = "each member and each tablespace needs a folder of its own, and "
                                 "none within another: check --dir, --map and --tablespace"}};
        }
    }
}

[[noreturn]] void refuse_repository(const fs::path& path, const std::string& what,
                                    const fs::path& repository)
{
    throw Error{Code::usage,
                fmt::format("{} would lie in {}, and the repository is {}", what, path.string(),
                            repository.string()),
                {.hint = "nothing but the repository's own objects belongs there: choose another "
                         "folder with --dir, --map or --tablespace"}};
}

/// What a folder above `path` tells of a server.
void require_no_server_above(const fs::path& path, const std::string& what)
{
    std::error_code error;
    for (auto folder = path.parent_path(); folder != folder.parent_path();
         folder = folder.parent_path()) {
        for (const char* name : {"PG_VERSION", "postmaster.pid"}) {
            if (!fs::exists(fs::symlink_status(folder / name, error))) continue;
            throw Error{Code::target_not_empty,
                        fmt::format("{} would lie in {}, which is within the data directory {}",
                                    what, path.string(), folder.string()),
                        {.hint = "choose another folder with --dir, --map or --tablespace"}};
        }
    }
}

void require_enterable(const fs::path& path, const std::string& what, const base::User& user)
{
    std::vector<fs::path> above;
    for (auto folder = path; folder != folder.parent_path(); folder = folder.parent_path()) {
        std::error_code error;
        if (fs::is_directory(folder, error)) above.push_back(folder);
    }
    // Our own folder of an earlier run lets the user in; a new one will.
    if (above.empty() || may_enter(above.front(), user)) return;
    for (auto folder = above.rbegin(); folder != above.rend(); ++folder) {
        if (may_enter(*folder, user)) continue;
        if (*folder == path) return;
        throw Error{Code::member_not_ready,
                    fmt::format("the servers' user {} cannot enter {}, and {} would lie in {}",
                                user.name, folder->string(), what, path.string()),
                    {.hint = fmt::format("choose another folder, or let that user pass: chmod o+x "
                                         "{}",
                                         folder->string())}};
    }
}

/// A new place is made in this one.
fs::path nearest_there(fs::path folder)
{
    std::error_code error;
    while (!fs::exists(folder, error) && folder != folder.parent_path())
        folder = folder.parent_path();
    return folder;
}

/// The server's user runs a copy of our program below the member's folder, or the program itself
/// (MemberRestore::helper_path).
void require_helper(const fs::path& path, const std::string& what, const std::string& helper,
                    const base::User& user)
{
    if (helper.empty() || runs_programs(path) || may_enter(helper, user)) return;
    throw Error{Code::member_not_ready,
                fmt::format("{} would lie in {}, where no program can be run (mounted noexec), and "
                            "the servers' user {} may not run {}, which fetches log for them",
                            what, path.string(), user.name, helper),
                {.hint = "let that user run it (install it below /usr), choose another folder with "
                         "--dir or --map, or mount that one with exec"}};
}

void require_writable(const fs::path& path, const std::string& what)
{
    const auto folder = nearest_there(path);
    std::error_code error;
    if (!fs::is_directory(folder, error)) return; // told as no free place
    if (::faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) == 0) return;
    const int why = errno;
    auto refusal = base::system_error(fmt::format("{} would lie in {}, and we cannot write in {}",
                                                  what, path.string(), folder.string()),
                                      why, Code::member_not_ready);
    throw Error{refusal.code(),
                refusal.message(),
                {.hint = "run it as the folder's owner or as root, or choose another folder with "
                         "--dir, --map or --tablespace"}};
}

} // namespace

bool runs_programs(const fs::path& folder)
{
    struct statvfs info = {};
    return ::statvfs(nearest_there(folder).c_str(), &info) != 0 || (info.f_flag & ST_NOEXEC) == 0;
}

bool may_enter(const fs::path& folder, const base::User& user)
{
    base::RunOptions how;
    how.process.user = user;
    how.process.directory = "/";
    how.process.err.to = base::Output::To::nowhere;
    auto result = base::run({"/bin/sh", "-c", "test -x \"$1\"", "sh", folder.native()}, how);
    return result.exit.success();
}

void check_tablespaces(const repo::RestorePlan& plan, const RestoreOptions& options)
{
    for (const auto& [key, path] : options.tablespaces) {
        const auto& [name, oid] = key;
        auto shown = fmt::format("--tablespace {}:{}={}", name, oid, path.string());
        if (!path.is_absolute())
            throw Error{Code::usage,
                        shown + " is no absolute path",
                        {.hint = "write the folder from / on: it stands in the restored server's "
                                 "configuration"}};
        auto member = plan.members.find(name);
        if (member == plan.members.end()) {
            bool elsewhere =
                plan.mark &&
                std::any_of(plan.mark->value.members.begin(), plan.mark->value.members.end(),
                            [&, n = name](const auto& one) { return one.name == n; });
            if (elsewhere) continue;
            throw Error{Code::usage, shown + ": there is no such member"};
        }
        const auto& held = member->second.backup.value.facts.tablespaces;
        if (std::any_of(held.begin(), held.end(),
                        [&, wanted = oid](const auto& one) { return one.first == wanted; }))
            continue;
        std::vector<std::string> names;
        for (const auto& [known, location] : held)
            names.push_back(fmt::format("{} ({})", known, location));
        throw Error{Code::usage,
                    fmt::format("{}: the backup of {} holds no such tablespace", shown, name),
                    {.hint = names.empty() ? std::string("it holds none: leave --tablespace out")
                                           : fmt::format("it holds {}", fmt::join(names, ", "))}};
    }
}

void check_places(const repo::RestorePlan& plan, const RestoreOptions& options)
{
    check_tablespaces(plan, options);
    auto places = places_of(plan, options);
    require_apart(places);
    std::error_code error;
    auto repository =
        options.repository.empty() ? fs::path{} : fs::weakly_canonical(options.repository, error);
    if (!options.dir.empty()) {
        auto dir = base::resolve_links(options.dir);
        if (!repository.empty() && is_within(dir, repository))
            refuse_repository(dir, "the report", repository);
    }
    std::optional<base::User> user;
    if (!options.user.empty()) {
        user = base::lookup_user(options.user);
        if (user->uid == ::geteuid() || ::geteuid() != 0) user.reset();
    }
    for (const auto& place : places) {
        if (!repository.empty() && overlap(place.path, repository))
            refuse_repository(place.path, place.what, repository);
        require_no_server_above(place.path, place.what);
        require_writable(place.path, place.what);
        if (user) require_enterable(place.path, place.what, *user);
        if (user && place.is_member) require_helper(place.path, place.what, options.helper, *user);
    }
}

} // namespace tidemark::job
