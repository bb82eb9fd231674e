#include "job/restore_claim.h"

#include "base/error.h"
#include "base/real_folder.h"

#include <algorithm>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tidemark::job {

using base::Code;
using base::Error;
namespace fs = std::filesystem;

namespace {

constexpr const char* kWorkDir = "tidemark";
constexpr const char* kState = "state.json";

fs::path state_file(const fs::path& folder)
{
    return folder / kWorkDir / kState;
}

Error cannot_look_into(const fs::path& folder, const std::error_code& why)
{
    auto error = base::system_error("cannot look into " + folder.string(), why.value(),
                                    Code::member_not_ready);
    return {error.code(),
            error.message(),
            {.hint = "run it as the folder's owner or as root, or choose another folder"}};
}

std::vector<fs::path> entries_of(const fs::path& folder)
{
    std::error_code error;
    std::vector<fs::path> entries;
    for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
        entries.push_back(at->path());
    if (error) throw cannot_look_into(folder, error);
    return entries;
}

/// Names that exist before the first state does.
bool is_beginning(const fs::path& entry)
{
    auto name = entry.filename().string();
    return name == "lock" || name.starts_with("state.json.");
}

} // namespace

bool is_free(const fs::path& folder)
{
    std::error_code error;
    auto status = fs::status(folder, error);
    if (status.type() == fs::file_type::not_found) return true;
    if (status.type() == fs::file_type::none) throw cannot_look_into(folder, error);
    if (status.type() != fs::file_type::directory) return false;
    for (const auto& entry : entries_of(folder)) {
        if (entry.filename() != kWorkDir || !fs::is_directory(entry, error)) return false;
        for (const auto& inner : entries_of(entry))
            if (!is_beginning(inner)) return false;
    }
    return true;
}

bool holds_restore(const fs::path& folder)
{
    struct stat info = {};
    return ::lstat(state_file(folder).c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
           info.st_uid == ::geteuid();
}

std::optional<RestoreState> known_state(const fs::path& folder)
{
    try {
        return load_restore_state(state_file(folder));
    } catch (const Error& error) {
        if (error.code() != Code::failed) throw;
        return std::nullopt;
    }
}

std::vector<fs::path> what_a_restore_left(const fs::path& folder)
{
    if (!holds_restore(folder)) return {};
    std::vector<fs::path> places{folder / "data", folder / "tablespaces"};
    if (auto state = known_state(folder)) {
        for (const auto& [oid, place] : state->tablespaces)
            if (!place.starts_with((folder / "tablespaces" / "").native()))
                places.emplace_back(place);
    }
    places.push_back(folder / kWorkDir);
    std::error_code error;
    std::erase_if(places, [&](const fs::path& place) {
        return !fs::exists(fs::symlink_status(place, error));
    });
    return places;
}

std::vector<fs::path> remove_restore(const fs::path& folder)
{
    auto places = what_a_restore_left(folder);
    if (places.empty()) return places;
    if (auto state = known_state(folder)) {
        state->phase = RestorePhase::writing;
        state->reached.clear();
        save_restore_state(state_file(folder), *state);
    }
    // By the open folder, whatever becomes of its name meanwhile.
    auto top = base::open_real_folder(folder);
    for (const auto& place : places) {
        if (place == folder / "data" || place == folder / "tablespaces")
            fs::remove_all(base::path_within(top, place.filename().native()));
        else if (place != folder / kWorkDir)
            empty_tablespace(place);
    }
    auto work = base::path_within(top, kWorkDir);
    std::vector<fs::path> inner;
    for (const auto& entry : fs::directory_iterator(work))
        if (entry.path().filename() != kState) inner.push_back(entry.path());
    for (const auto& path : inner)
        fs::remove_all(path);
    fs::remove(work / kState);
    fs::remove(work);
    return places;
}

void empty_tablespace(const fs::path& folder)
{
    auto top = base::open_real_folder(folder);
    std::vector<fs::path> entries;
    for (const auto& entry : fs::directory_iterator(base::path_within(top)))
        if (entry.path().filename().string().starts_with("PG_")) entries.push_back(entry.path());
    for (const auto& entry : entries)
        fs::remove_all(entry);
}

base::Fd lock_target(const fs::path& work_dir)
{
    auto folder = base::open_real_folder(work_dir);
    auto lock = base::open_file(base::path_within(folder, "lock"), O_RDWR | O_CREAT | O_NOFOLLOW);
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
    if (errno != EWOULDBLOCK) throw base::system_error("cannot lock " + work_dir.string(), errno);
    throw Error{Code::lease_held,
                fmt::format("another restore works in {}", work_dir.parent_path().string()),
                {.hint = "let it finish, or stop it; then the same command goes on where it "
                         "stopped"}};
}

} // namespace tidemark::job
