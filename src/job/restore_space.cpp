#include "job/restore_space.h"

#include "base/clock.h"
#include "base/error.h"
#include "repo/layout.h"
#include "repo/page_map.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>
#include <sys/stat.h>
#include <sys/statvfs.h>

namespace tidemark::job {

namespace fs = std::filesystem;

namespace {

/// max_wal_size as servers have it unless told otherwise; those of a restore are not.
constexpr std::uint64_t kKeptLog = 1ULL << 30;

struct FileSystem {
    fs::path place; ///< something on it
    std::uint64_t needed = 0;
    std::map<std::string, std::uint64_t> members; ///< what the log of each may add

    std::uint64_t most() const
    {
        auto sum = needed;
        for (const auto& [member, log] : members)
            sum += log;
        return sum;
    }
};

/// Sums the files below "pg_tblspc/OID/".
class TablespaceFiles final : public repo::PageMapVisitor {
public:
    void file(const model::FileEntry& entry) override
    {
        constexpr std::string_view kFolder = "pg_tblspc/";
        if (entry.kind != model::FileKind::regular || !entry.path.starts_with(kFolder)) return;
        std::uint32_t oid = 0;
        auto rest = std::string_view(entry.path).substr(kFolder.size());
        std::from_chars(rest.data(), rest.data() + rest.size(), oid);
        sizes[oid] += entry.size;
    }

    std::map<std::uint32_t, std::uint64_t> sizes;
};

fs::path nearest_existing(fs::path path)
{
    std::error_code error;
    while (!fs::exists(path, error) && path.has_relative_path())
        path = path.parent_path();
    return path;
}

} // namespace

std::uint64_t room_for_log(const repo::MemberPlan& member)
{
    return member.log_bytes + std::min(member.log_bytes, kKeptLog);
}

PlanRoom room_of(const repo::RestorePlan& plan)
{
    PlanRoom out;
    for (const auto& [name, member] : plan.members) {
        auto least = member.bytes_to_write + kHeadroom;
        out.least += least;
        out.most += least + room_for_log(member);
    }
    return out;
}

std::vector<std::string> require_room(const std::vector<SpaceNeed>& needs)
{
    std::vector<std::string> warnings;
    std::map<dev_t, FileSystem> all;
    for (const auto& need : needs) {
        auto place = nearest_existing(need.where);
        struct stat info = {};
        if (::stat(place.c_str(), &info) != 0)
            throw base::system_error("cannot look at " + place.native(), errno);
        auto& one = all[info.st_dev];
        if (one.place.empty()) one.place = place;
        one.needed += need.bytes;
        auto& log = one.members[need.member]; // grows here or there, but once
        log = std::max(log, need.log);
    }
    for (const auto& [device, one] : all) {
        struct statvfs info = {};
        if (::statvfs(one.place.c_str(), &info) != 0)
            throw base::system_error("cannot look at " + one.place.native(), errno);
        auto available = static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
        if (available >= one.most()) continue;
        std::vector<std::string> names;
        for (const auto& [member, log] : one.members)
            names.push_back(member);
        if (available >= one.needed) {
            warnings.push_back(fmt::format(
                "{} has {} free: enough for the files of {}, but with what the log may add the "
                "restore can need up to {}; when the disk becomes full, make room and run the same "
                "command again",
                one.place.native(), base::format_size(available), fmt::join(names, ", "),
                base::format_size(one.most())));
            continue;
        }
        throw base::Error{base::Code::out_of_space,
                          fmt::format("{} has {} free, the restore of {} needs {}",
                                      one.place.native(), base::format_size(available),
                                      fmt::join(names, ", "), base::format_size(one.needed)),
                          {.hint = fmt::format("free space there, or put a member elsewhere with "
                                               "--map {}=DIR",
                                               names.front())}};
    }
    return warnings;
}

std::map<std::uint32_t, std::uint64_t> tablespace_sizes(store::Storage& storage,
                                                        const repo::StoredManifest& backup)
{
    const auto& manifest = backup.value;
    auto key = repo::parse_key(manifest.page_map.key);
    if (!key)
        throw base::Error{base::Code::not_restorable,
                          "the manifest names an impossible page map: " + manifest.page_map.key};
    TablespaceFiles files;
    repo::read_page_map(storage, {.group = manifest.group, .member = manifest.member}, key->number,
                        key->lease, files, manifest.page_map.sha256);
    return files.sizes;
}

} // namespace tidemark::job
