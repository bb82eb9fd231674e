#include "app/cli/check_parts.h"
#include "base/host.h"
#include "engine/postgres/pq.h"
#include "job/membership.h"

#include <algorithm>
#include <fmt/format.h>
#include <sys/stat.h>

namespace tidemark::app {

using base::Code;
using base::Error;

namespace {

using Checks = std::vector<engine::Check>;

/// The member's server runs on this very host, as far as its url tells.
bool on_this_host(const std::string& url)
{
    try {
        for (const auto& server : engine::postgres::split_servers(url)) {
            if (base::names_this_host(server.name.substr(0, server.name.rfind(':')))) return true;
        }
    } catch (const Error&) {
        return false; // told when it is connected to
    }
    return false;
}

/// For people, not for a pager.
engine::Check waiting(std::string name, std::string cause, std::string fix)
{
    auto check = failed(std::move(name), std::move(cause), std::move(fix));
    check.state = engine::CheckState::waiting;
    return check;
}

/// Can it be opened and written to?
void check_use(Environment& environment, const store::Traits& traits, Checks& checks)
{
    checks.push_back(fine(
        "repository",
        fmt::format("{}{}{}", traits.where,
                    traits.free_bytes ? ", " + base::format_size(*traits.free_bytes) + " free" : "",
                    traits.reads_back ? "; over a network or FUSE: all that is written is read "
                                        "back and hashed before it counts"
                                      : "")));
    try {
        repo::Lease::acquire(environment.repository().storage(), environment.group().name, "check",
                             repo::LeaseOwner::this_process("check"))
            ->release();
    } catch (const Error& error) {
        // Another check just wrote the same.
        if (error.code() != Code::lease_held) throw;
    }
    checks.push_back(fine("repository_writable", "an object could be created and named once"));
}

void check_members_known(Environment& environment, Checks& checks)
{
    try {
        job::refuse_missing(environment.context());
    } catch (const Error& error) {
        if (error.code() != Code::identity_mismatch) throw;
        checks.push_back(failed("members", error.what(), error.hint()));
    }
}

void check_host(const model::GroupSpec& group, const store::Traits& traits, Checks& checks)
{
    // What is read back lies behind a network (or FUSE), so on another host.
    if (traits.kind != "directory" || traits.reads_back) return;
    for (const auto& member : group.members) {
        bool here = on_this_host(member.url) || std::ranges::any_of(member.more_urls, on_this_host);
        if (!here) continue;
        checks.push_back(
            waiting("repository_host",
                    fmt::format("the repository is on the host of member {}", member.name),
                    "put it on another host, or copy it to one: a host that is lost "
                    "takes both"));
        return;
    }
}

void check_devices(const model::GroupSpec& group, const store::Traits& traits, Checks& checks)
{
    if (!traits.device) return;
    for (const auto& member : group.members) {
        if (!member.data_dir) continue;
        for (const auto& path : {*member.data_dir, *member.data_dir / "pg_wal"}) {
            struct stat info = {};
            if (::stat(path.c_str(), &info) != 0 || info.st_dev != *traits.device) continue;
            checks.push_back(
                waiting("repository_device",
                        fmt::format("the repository is on the same device as {}", path.string()),
                        "put the repository on another disk or host: one broken disk takes both"));
        }
    }
}

} // namespace

std::vector<engine::Check> repository_checks(Environment& environment, std::optional<Code>& worst)
{
    Checks checks;
    try {
        auto traits = environment.repository().storage().traits();
        check_use(environment, traits, checks);
        check_members_known(environment, checks);
        check_host(environment.group(), traits, checks);
        check_devices(environment.group(), traits, checks);
    } catch (const Error& error) {
        checks.push_back(failed("repository", error.what(), error.hint()));
        worst = error.code();
    }
    if (environment.config() != nullptr) {
        for (const auto& key : environment.config()->inactive) {
            auto check =
                fine("configuration", key + " is known but this version does not act on it yet");
            check.state = engine::CheckState::waiting;
            check.fix = "run tidemark from cron or a timer instead; the key may stay";
            checks.push_back(check);
        }
    }
    return checks;
}

} // namespace tidemark::app
