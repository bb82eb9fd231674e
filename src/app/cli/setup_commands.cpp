#include "app/cli/commands.h"
#include "app/cli/data_dir.h"
#include "app/cli/decision_tables.h"
#include "app/cli/member_url.h"
#include "app/cli/sheet.h"
#include "app/wiring.h"
#include "base/fd.h"
#include "base/random.h"
#include "engine/postgres/roles.h"
#include "engine/postgres/servers.h"
#include "job/context.h"
#include "job/init.h"
#include "job/init_checks.h"
#include "model/ids.h"
#include "repo/sets.h"

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace tidemark::app {

using base::Code;
using base::Error;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

int print_role_sql(Environment& environment, const std::vector<model::MemberSpec>& members)
{
    const auto& options = environment.options();
    auto& list = environment.output().document()["members"] = json::array();
    for (const auto& member : members) {
        auto connection =
            engine::postgres::reach_member(job::member_config(model::GroupSpec{}, member),
                                           {.stop = environment.stop()})
                .sql;
        engine::postgres::RoleSpec spec{.version_num = connection.server_version(),
                                        .role = options.role,
                                        .dbname = connection.dbname()};
        auto sql = engine::postgres::print_sql(spec);
        std::optional<bool> password;
        std::vector<std::string> unreadable;
        if (options.apply_sql) {
            engine::postgres::apply_sql(connection, spec);
            password = engine::postgres::has_password(connection, options.role);
            environment.output().text(fmt::format(
                "{}: role {} has what it needs{}\n", member.name, options.role,
                password.value_or(false)
                    ? ""
                    : fmt::format(
                          ", but no password. Unless it logs in by certificate or peer, set "
                          "one in psql with \\password {} and put it into ~/.pgpass of the "
                          "job's user",
                          options.role)));
            // It is much to give, so a person decides.
            unreadable = engine::postgres::unreadable_configuration(connection, options.role);
            if (!unreadable.empty() && !member.data_dir)
                environment.output().text(fmt::format(
                    "{}: base backups over the wire will not hold {}, outside the data directory. "
                    "They will after this, which lets the role read every file that the server "
                    "can, and was not run:\n  {}\n",
                    member.name, fmt::join(unreadable, ", "),
                    engine::postgres::reading_statement(options.role)));
        } else {
            environment.output().text(
                fmt::format("-- member {} ({})\n{}\n", member.name, connection.description(), sql));
        }
        list.push_back({{"name", member.name}, {"sql", sql}, {"applied", options.apply_sql}});
        if (password) list.back()["has_password"] = *password;
        if (!unreadable.empty()) list.back()["unreadable_configuration"] = unreadable;
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

/// What `check` would call failed, but for the slot, which comes next.
void list_missing(Environment& environment, const std::string& member, engine::Session& session)
{
    for (const auto& check : session.check()) {
        if (check.state != engine::CheckState::failed || check.name == "slot" ||
            (check.name == "slot_bound" && environment.options().unbounded))
            continue;
        environment.output().text(fmt::format("    missing: {}: {}\n      fix: {}\n", check.name,
                                              check.cause, check.fix));
        environment.output().document()["missing"].push_back({{"member", member},
                                                              {"check", check.name},
                                                              {"cause", check.cause},
                                                              {"fix", check.fix}});
    }
}

void refuse_new_slot(Environment& environment, const std::string& member, engine::Session& session)
{
    auto slot = session.slot();
    if (slot.exists || environment.options().unbounded) return;
    base::with_context("member " + member, [&] { job::refuse_unbounded(slot, session); });
}

/// What keeps servers from being members, of all of them: who sets up a group mends it in one go.
class Refusals {
public:
    template <typename Look> void collect(const std::string& member, Look&& look)
    {
        try {
            std::forward<Look>(look)();
        } catch (const Error& error) {
            if (error.code() != Code::member_not_ready && error.code() != Code::member_unreachable)
                throw;
            all_.emplace_back(member, error);
        }
    }

    void raise() const
    {
        if (all_.empty()) return;
        if (all_.size() == 1) throw Error(all_.front().second);
        std::string message, hint;
        for (const auto& [member, error] : all_) {
            std::string said = error.what();
            if (!said.starts_with("member ")) said.insert(0, "member " + member + ": ");
            message += (message.empty() ? "" : "\n") + said;
            if (!error.hint().empty())
                hint += fmt::format("{}{}: {}", hint.empty() ? "" : "; ", member, error.hint());
        }
        throw Error{all_.front().second.code(), message, {.hint = hint}};
    }

private:
    std::vector<std::pair<std::string, Error>> all_;
};

using Clusters = std::vector<std::pair<std::string, std::string>>;

void look_at_member(Environment& environment, const model::GroupSpec& group,
                    model::MemberSpec& member, Clusters& clusters)
{
    auto connect = [&] {
        return engine_for(member.url).connect(job::member_config(group, member));
    };
    auto session = connect();
    auto identity = session->identify();
    clusters.emplace_back(member.name, identity.system_id);
    if (!member.data_dir) {
        member.data_dir = readable_data_dir(identity);
        // One that knows where the files lie sees how much room is beside the log.
        if (member.data_dir) session = connect();
    }
    environment.output().text(
        fmt::format("  {}: PostgreSQL {}, system {}, timeline {}, {}\n", member.name,
                    identity.version, identity.system_id, identity.position.epoch,
                    member.data_dir ? "files read in " + member.data_dir->string()
                                    : "read over the connection"));
    list_missing(environment, member.name, *session);
    refuse_new_slot(environment, member.name, *session);
}

void look_at_members(Environment& environment, NewConfig& made)
{
    environment.output().document()["missing"] = json::array();
    Clusters clusters;
    Refusals refusals;
    for (auto& member : made.group.members)
        refusals.collect(member.name,
                         [&] { look_at_member(environment, made.group, member, clusters); });
    job::refuse_twins(clusters);
    refusals.raise();
}

/// What initialise() will refuse is refused before a repository is made.
void look_before_making(Environment& environment, const model::GroupSpec& group)
{
    Clusters clusters;
    Refusals refusals;
    for (const auto& member : group.members)
        refusals.collect(member.name, [&] {
            auto session = engine_for(member.url).connect(job::member_config(group, member));
            clusters.emplace_back(member.name, session->identify().system_id);
            refuse_new_slot(environment, member.name, *session);
        });
    job::refuse_twins(clusters);
    refusals.raise();
}

/// What is there is used; an empty place where this host saw a repository is no place for another.
void make_repository(Environment& environment)
{
    bool fresh = environment.options().new_repository;
    if (!fresh) environment.require_mounted(); // before a folder is made
    auto& place = environment.open_place(true);
    if (!repo::Repository::exists(place)) {
        base::SystemRandom random;
        repo::Repository::create(place, random);
        environment.output().text(
            fmt::format("repository made in {}\n", environment.repository_spec().url));
    } else if (fresh) {
        throw Error{Code::usage,
                    "there is a repository in " + environment.repository_spec().url,
                    {.hint = "leave --new-repository out to use it"}};
    }
    environment.meet_repository();
}

/// Makes the repository, where there is none, and what is missing at the members.
job::InitOutcome initialise(Environment& environment)
{
    make_repository(environment);
    return job::initialise(environment.context(), {.unbounded = environment.options().unbounded});
}

void list_members(Environment& environment, const job::InitOutcome& outcome, bool all_new)
{
    for (const auto& member : outcome.members) {
        std::string what = "nothing was missing";
        if (all_new)
            what = "slot " + job::slot_name(environment.group().name);
        else if (member.recorded)
            what = "slot and identity recorded";
        if (all_new && member.seeds > 0)
            what += fmt::format(", {} transactions were prepared already", member.seeds);
        environment.output().text(fmt::format("  {}: {}\n", member.name, what));
        environment.output().document()["members"].push_back(
            {{"name", member.name},
             {"system_id", member.identity.system_id},
             {"recorded", member.recorded},
             {"slot_created", member.slot_created},
             {"seeds", member.seeds}});
    }
}

/// Printed in any case: a folder that cannot be written must not keep it from whoever reads this.
void show_sheet(Environment& environment, const fs::path& config)
{
    auto& output = environment.output();
    auto sheet = render_sheet(gather_sheet(environment), SheetFormat::markdown);
    auto file = sheet_beside(config, environment.group().name);
    std::string title = "recovery sheet";
    try {
        store_sheet(file, sheet);
        output.document()["sheet"] = file.string();
        title = "recovery sheet written to " + file.string();
    } catch (const Error& error) {
        warn_of_old_sheet(environment, error);
    }
    output.text(fmt::format("{}:\n\n{}\n", title, sheet));
}

int make_group(Environment& environment)
{
    auto& output = environment.output();
    auto made = plan_config(environment);
    output.text("members found:\n");
    look_at_members(environment, made);
    environment.set_repository(made.repository);
    environment.set_group(made.group);
    auto outcome = initialise(environment);
    write_config(made);
    output.text(fmt::format("configuration written to {}\n", made.path.string()));
    output.document()["config"] = made.path.string();
    list_members(environment, outcome, true);
    show_sheet(environment, made.path);
    output.text(output.document()["missing"].empty()
                    ? "next: tidemark check, then tidemark backup\n"
                    : "next: the fixes above, tidemark check, then tidemark backup\n");
    return 0;
}

/// What the configuration has and the repository or a server does not have yet.
int complete_group(Environment& environment)
{
    environment.repository_spec(); // first what the configuration lacks
    look_before_making(environment, environment.group());
    list_members(environment, initialise(environment), false);
    warn_of_decision_tables(environment);
    show_sheet(environment, environment.config()->path);
    bool backed_up =
        repo::Sets(environment.repository().storage(), environment.group().name).list(1).size() > 0;
    environment.output().text(backed_up ? "next: tidemark check\n"
                                        : "next: tidemark check, then tidemark backup\n");
    return 0;
}

} // namespace

int run_init(Environment& environment)
{
    const auto& options = environment.options();
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
    return existing ? complete_group(environment) : make_group(environment);
}

} // namespace tidemark::app
