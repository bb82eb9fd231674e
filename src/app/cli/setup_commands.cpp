#include "app/cli/commands.h"
#include "app/cli/member_url.h"
#include "app/cli/table.h"
#include "app/wiring.h"
#include "base/fd.h"
#include "base/random.h"
#include "engine/postgres/pq.h"
#include "engine/postgres/redact.h"
#include "engine/postgres/roles.h"
#include "job/crew.h"
#include "job/group_log.h"
#include "job/init.h"
#include "model/ids.h"

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

namespace tidemark::app {

using base::Code;
using base::Error;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

/// The server's data directory, when this process can read it and it really is that cluster's:
/// pg_control begins with the system identifier (src/include/catalog/pg_control.h).
std::optional<fs::path> readable_data_dir(const model::Identity& identity)
{
    if (identity.data_directory.empty()) return std::nullopt;
    try {
        auto control =
            base::read_file(fs::path(identity.data_directory) / "global/pg_control", 65536);
        if (control.size() < 8 ||
            std::to_string(base::load_u64(control.data())) != identity.system_id)
            return std::nullopt;
        return identity.data_directory;
    } catch (const Error&) {
        return std::nullopt;
    }
}

int print_role_sql(Environment& environment, const std::vector<model::MemberSpec>& members)
{
    const auto& options = environment.options();
    auto& list = environment.output().document()["members"] = json::array();
    for (const auto& member : members) {
        auto connection =
            engine::postgres::Connection::open(member.url, {.stop = environment.stop()});
        engine::postgres::RoleSpec spec{.version_num = connection.server_version(),
                                        .role = options.role,
                                        .dbname = connection.dbname()};
        auto sql = engine::postgres::print_sql(spec);
        if (options.apply_sql) {
            engine::postgres::apply_sql(connection, spec);
            environment.output().text(
                fmt::format("{}: role {} has what it needs\n", member.name, options.role));
        } else {
            environment.output().text(
                fmt::format("-- member {} ({})\n{}\n", member.name, connection.description(), sql));
        }
        list.push_back({{"name", member.name}, {"sql", sql}, {"applied", options.apply_sql}});
    }
    return 0;
}

struct NewConfig {
    fs::path path;
    model::RepositorySpec repository;
    model::GroupSpec group;
};

NewConfig plan_config(Environment& environment)
{
    const auto& options = environment.options();
    if (options.urls.empty()) {
        throw Error{
            Code::usage,
            "init needs the members' connection strings",
            {.hint = "tidemark init orders=postgresql://... billing=postgresql://... --repo PATH"}};
    }
    if (options.repository.empty())
        throw Error{Code::usage, "init needs --repo", {.hint = "--repo /var/backups/tidemark"}};
    NewConfig made;
    const char* named = std::getenv("TIDEMARK_CONFIG");
    made.path = options.config
                    ? *options.config
                    : fs::path(named != nullptr && *named != '\0' ? named : "tidemark.toml");
    made.repository.url = options.repository;
    if (!options.repository.starts_with("file://"))
        made.repository.url = fs::absolute(options.repository).string();
    made.group.name = model::checked_name("group", options.group.empty() ? "main" : options.group);
    made.group.members = members_of_urls(options.urls);
    for (auto& member : made.group.members) {
        if (auto given = options.data_dirs.find(member.name); given != options.data_dirs.end())
            member.data_dir = fs::absolute(given->second);
    }
    for (const auto& [name, path] : options.data_dirs) {
        bool known = std::any_of(made.group.members.begin(), made.group.members.end(),
                                 [&](const auto& member) { return member.name == name; });
        if (!known) throw Error{Code::usage, "--data-dir names " + name + ", which is no member"};
    }
    return made;
}

/// Never over an existing file: O_EXCL decides, not a look before.
void write_config(const NewConfig& made)
{
    auto fd = base::open_file(made.path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    auto text = render_config(made.repository, made.group);
    base::write_full(fd.get(), base::as_bytes(text), made.path.string());
    base::fsync_fd(fd.get(), made.path.string());
}

void find_data_dirs(Environment& environment, NewConfig& made)
{
    for (auto& member : made.group.members) {
        auto session = engine_for(member.url).connect(job::member_config(made.group, member));
        auto identity = session->identify();
        if (!member.data_dir) member.data_dir = readable_data_dir(identity);
        environment.output().text(
            fmt::format("  {}: PostgreSQL {}, system {}, timeline {}, {}\n", member.name,
                        identity.version, identity.system_id, identity.position.epoch,
                        member.data_dir ? "files read in " + member.data_dir->string()
                                        : "read over the connection"));
    }
}

} // namespace

int run_init(Environment& environment)
{
    const auto& options = environment.options();
    auto& output = environment.output();
    if (options.print_sql || options.apply_sql) {
        return print_role_sql(environment, options.urls.empty() ? environment.group().members
                                                                : members_of_urls(options.urls));
    }
    bool existing = environment.config() != nullptr &&
                    (options.urls.empty() || options.config || !options.group.empty());
    if (environment.config() != nullptr && !options.urls.empty()) {
        throw Error{Code::usage,
                    environment.config()->path.string() +
                        " is there already and is not overwritten",
                    {.hint = "run tidemark init without URLs to do what is still missing, or name "
                             "another file with --config"}};
    }
    if (!existing) {
        auto made = plan_config(environment);
        output.text("members found:\n");
        find_data_dirs(environment, made);
        environment.set_repository(made.repository);
        environment.set_group(made.group);
        auto& place = environment.open_place(true);
        if (!repo::Repository::exists(place)) {
            base::SystemRandom random;
            repo::Repository::create(place, random);
            output.text(fmt::format("repository made in {}\n", made.repository.url));
        }
        auto outcome = job::initialise(environment.context(), {.unbounded = options.unbounded});
        write_config(made);
        output.text(fmt::format("configuration written to {}\n", made.path.string()));
        output.document()["config"] = made.path.string();
        for (const auto& member : outcome.members) {
            output.text(fmt::format(
                "  {}: slot {}{}\n", member.name, job::slot_name(made.group.name),
                member.seeds == 0
                    ? ""
                    : fmt::format(", {} transactions were prepared already", member.seeds)));
            output.document()["members"].push_back({{"name", member.name},
                                                    {"system_id", member.identity.system_id},
                                                    {"slot_created", member.slot_created},
                                                    {"seeds", member.seeds}});
        }
        output.text("next: tidemark check, then tidemark backup\n");
        return 0;
    }
    auto& place = environment.open_place(true);
    if (!repo::Repository::exists(place)) {
        base::SystemRandom random;
        repo::Repository::create(place, random);
        output.text(fmt::format("repository made in {}\n", environment.repository_spec().url));
    }
    auto outcome = job::initialise(environment.context(), {.unbounded = options.unbounded});
    for (const auto& member : outcome.members) {
        output.text(
            fmt::format("  {}: {}\n", member.name,
                        member.recorded ? "slot and identity recorded" : "nothing was missing"));
        output.document()["members"].push_back({{"name", member.name},
                                                {"recorded", member.recorded},
                                                {"slot_created", member.slot_created}});
    }
    return 0;
}

namespace {

struct NamedCheck {
    std::string who;
    engine::Check check;
};

engine::Check failed(std::string name, std::string cause, std::string fix)
{
    return {.name = std::move(name),
            .state = engine::CheckState::failed,
            .cause = std::move(cause),
            .fix = std::move(fix)};
}

engine::Check fine(std::string name, std::string cause)
{
    return {.name = std::move(name),
            .state = engine::CheckState::ok,
            .cause = std::move(cause),
            .fix = {}};
}

/// The repository must not die with a member: not on the device of a data directory or its log.
std::vector<engine::Check> repository_checks(Environment& environment)
{
    std::vector<engine::Check> checks;
    try {
        auto traits = environment.repository().storage().traits();
        checks.push_back(fine(
            "repository",
            fmt::format("{}{}", traits.where,
                        traits.free_bytes ? ", " + base::format_size(*traits.free_bytes) + " free"
                                          : "")));
        auto key = fmt::format("groups/{}/leases/check/0000000001", environment.group().name);
        base::SystemRandom random;
        auto probe =
            repo::Lease::acquire(environment.repository().storage(), environment.group().name,
                                 "check", repo::LeaseOwner::this_process("check"));
        probe->release();
        checks.push_back(fine("repository_writable", "an object could be created and named once"));
        for (const auto& member : environment.group().members) {
            if (!member.data_dir || !traits.device) continue;
            for (const auto& path : {*member.data_dir, *member.data_dir / "pg_wal"}) {
                struct stat info = {};
                if (::stat(path.c_str(), &info) == 0 && info.st_dev == *traits.device) {
                    auto check = failed(
                        "repository_device",
                        fmt::format("the repository is on the same device as {}", path.string()),
                        "put the repository on another disk or host: one broken disk takes both");
                    check.state = engine::CheckState::waiting;
                    checks.push_back(check);
                }
            }
        }
    } catch (const Error& error) {
        checks.push_back(failed("repository", error.what(), error.hint()));
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

std::string state_word(engine::CheckState state)
{
    return state == engine::CheckState::ok        ? "ok"
           : state == engine::CheckState::waiting ? "wait"
                                                  : "FAIL";
}

} // namespace

int run_check(Environment& environment)
{
    const auto& group = environment.group();
    if (!environment.configured())
        throw Error{
            Code::usage, "check needs a configuration", {.hint = "make one with tidemark init"}};
    job::Crew crew(job::member_names(group), environment.stop());
    std::vector<std::vector<engine::Check>> results(crew.size());
    std::vector<std::optional<base::Duration>> clocks(crew.size());
    std::optional<Code> worst;
    std::mutex mutex;
    crew.run([&](std::size_t i, std::stop_token) {
        const auto& member = group.members[i];
        try {
            auto session = engine_for(member.url).connect(job::member_config(group, member));
            results[i] = session->check();
            auto before = environment.clock().now();
            auto theirs = session->clock();
            clocks[i] = theirs - (before + (environment.clock().now() - before) / 2);
        } catch (const Error& error) {
            results[i].push_back(failed("reachable", error.what(), error.hint()));
            std::lock_guard lock(mutex);
            if (!worst) worst = error.code();
        }
        if (engine::postgres::redact_url(member.url) != member.url) {
            auto check = failed("password", "the url holds a password",
                                "put it into a password file (~/.pgpass, mode 0600) and take it "
                                "out of the configuration");
            check.state = engine::CheckState::waiting;
            results[i].push_back(check);
        }
    });
    std::vector<NamedCheck> all;
    for (std::size_t i = 0; i < crew.size(); ++i) {
        for (auto& check : results[i])
            all.push_back({crew.name(i), std::move(check)});
    }
    std::optional<base::Duration> low, high;
    for (const auto& clock : clocks) {
        if (!clock) continue;
        low = low ? std::min(*low, *clock) : *clock;
        high = high ? std::max(*high, *clock) : *clock;
    }
    if (low) {
        auto apart = *high - *low;
        auto check = fine("clocks", fmt::format("members' clocks are {:.1f} ms apart",
                                                static_cast<double>(apart.count()) / 1000));
        if (apart > std::chrono::seconds{1}) {
            check.state = engine::CheckState::waiting;
            check.fix = "synchronise the hosts' clocks (chrony, ntp): times are used to tell "
                        "reused ids apart";
        }
        all.push_back({"group", check});
    }
    for (auto& check : repository_checks(environment)) {
        if (check.state == engine::CheckState::failed && check.name == "repository" && !worst)
            worst = Code::repository_unreachable;
        all.push_back({"group", std::move(check)});
    }
    Table table({"STATE", "MEMBER", "CHECK", "CAUSE"});
    auto& list = environment.output().document()["checks"] = json::array();
    std::size_t counts[3] = {0, 0, 0};
    for (const auto& [who, check] : all) {
        ++counts[static_cast<int>(check.state)];
        table.row({state_word(check.state), who, check.name, check.cause});
        if (!check.fix.empty()) table.row({"", "", "", "fix: " + check.fix});
        list.push_back({{"member", who},
                        {"check", check.name},
                        {"state", check.state == engine::CheckState::ok        ? "ok"
                                  : check.state == engine::CheckState::waiting ? "waiting"
                                                                               : "failed"},
                        {"cause", check.cause},
                        {"fix", check.fix}});
    }
    environment.output().text(table.render());
    environment.output().text(
        fmt::format("{} ok, {} waiting, {} failed\n", counts[0], counts[1], counts[2]));
    environment.output().document()["failed"] = counts[2];
    if (counts[2] == 0) return 0;
    return static_cast<int>(worst.value_or(Code::member_not_ready));
}

} // namespace tidemark::app
