#include "app/cli/commands.h"
#include "app/cli/data_dir.h"
#include "app/cli/member_url.h"
#include "app/cli/sheet.h"
#include "app/config_edit.h"
#include "app/wiring.h"
#include "engine/postgres/redact.h"
#include "engine/postgres/roles.h"
#include "engine/postgres/servers.h"
#include "job/group_log.h"
#include "job/init.h"
#include "job/leave.h"
#include "job/membership.h"
#include "model/ids.h"
#include "repo/identities.h"

#include <algorithm>
#include <fmt/format.h>
#include <iostream>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace tidemark::app {

using base::Code;
using base::Error;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

void require_file(Environment& environment, const std::string& command)
{
    if (environment.configured() && environment.config() != nullptr) return;
    throw Error{Code::usage,
                command + " changes the configuration file and there is none",
                {.hint = "name one with --config FILE, or make one with tidemark init"}};
}

std::string indented(std::string_view text)
{
    std::string out;
    while (!text.empty()) {
        auto end = std::min(text.find('\n'), text.size() - 1);
        out += "    " + std::string(text.substr(0, end + 1));
        text.remove_prefix(end + 1);
    }
    return out;
}

/// Lines of a configuration, with the passwords of these members' urls hidden.
std::string shown(std::string lines, const std::vector<model::MemberSpec>& members)
{
    auto hide = [&](const std::string& url) {
        auto redacted = engine::postgres::redact_url(url);
        if (redacted == url || url.empty()) return;
        for (auto at = lines.find(url); at != std::string::npos;
             at = lines.find(url, at + redacted.size()))
            lines.replace(at, url.size(), redacted);
    };
    for (const auto& member : members) {
        hide(member.url);
        for (const auto& url : member.more_urls)
            hide(url);
        if (member.backup_from) hide(*member.backup_from);
    }
    return indented(lines);
}

// ---- add-member

model::MemberSpec wanted_member(Environment& environment)
{
    const auto& options = environment.options();
    auto member = members_of_urls(options.urls).front();
    if (!options.member.empty()) member.name = model::checked_name("member", options.member);
    for (const auto& [name, path] : options.data_dirs) {
        if (name != member.name)
            throw Error{Code::usage, "--data-dir names " + name + ", not " + member.name};
        member.data_dir = fs::absolute(path);
    }
    const auto& group = environment.group();
    for (const auto& other : group.members) {
        if (other.name == member.name)
            throw Error{Code::usage,
                        fmt::format("group {} has a member {} already", group.name, member.name),
                        {.hint = "give the new one another name with --name"}};
    }
    return member;
}

/// Two members of one group on one cluster would back it up twice and restore it to two places.
void refuse_twin(Environment& environment, const model::Identity& identity)
{
    const auto& group = environment.group();
    for (const auto& other : group.members) {
        auto known = repo::Identities(environment.repository().storage(),
                                      {.group = group.name, .member = other.name})
                         .latest();
        if (known && known->value.identity.system_id == identity.system_id)
            throw Error{Code::usage,
                        fmt::format("that server is a member already: {} has its system "
                                    "identifier {}",
                                    other.name, identity.system_id),
                        {.hint = "name standbys of a member in its url"}};
    }
}

struct Arrival {
    model::MemberSpec member;
    model::GroupSpec alone; ///< the group with nothing but the new member
    model::Identity identity;
    ConfigEdit edit;
};

void describe_arrival(Environment& environment, const Arrival& arrival,
                      const std::vector<engine::Standby>& standbys, std::size_t prepared)
{
    auto& output = environment.output();
    const auto& identity = arrival.identity;
    output.text(
        fmt::format("member {} joins group {}:\n", arrival.member.name, arrival.alone.name));
    output.text(fmt::format("  server    PostgreSQL {}, system {}, timeline {}\n", identity.version,
                            identity.system_id, identity.position.epoch));
    for (const auto& standby : standbys)
        output.text(fmt::format("  standby   {}{}\n", standby.where,
                                standby.problem.empty() ? "" : ": " + standby.problem));
    output.text(fmt::format("  files     {}\n", arrival.member.data_dir
                                                    ? "read in " + arrival.member.data_dir->string()
                                                    : "read over the connection"));
    output.text(
        fmt::format("  slot      {} is made at the server\n", job::slot_name(arrival.alone.name)));
    output.text(fmt::format("  prepared  {} transactions are prepared there now\n", prepared));
    output.text(fmt::format("  file      {} gets\n{}", environment.config()->path.string(),
                            shown(arrival.edit.lines, {arrival.member})));
    auto& document = output.document();
    document["member"] = arrival.member.name;
    document["system_id"] = identity.system_id;
    document["prepared"] = prepared;
    document["data_dir"] =
        arrival.member.data_dir ? json(arrival.member.data_dir->string()) : json(nullptr);
}

Arrival plan_arrival(Environment& environment)
{
    Arrival out{.member = wanted_member(environment),
                .alone = environment.group(),
                .identity = {},
                .edit = {}};
    auto session = engine_for(out.member.url).connect(job::member_config(out.alone, out.member));
    out.identity = session->identify();
    refuse_twin(environment, out.identity);
    if (!out.member.data_dir) out.member.data_dir = readable_data_dir(out.identity);
    out.alone.members = {out.member};
    out.edit =
        with_member(read_config_text(environment.config()->path), out.alone.name, out.member);
    describe_arrival(environment, out, session->standbys({}), session->prepared().size());
    for (const auto& check : session->check()) {
        // The slot is what is about to be made.
        if (check.state == engine::CheckState::failed && check.name != "slot" &&
            check.name != "slot_bound")
            environment.progress().warn(
                fmt::format("{}: {}: {}; {}", out.member.name, check.name, check.cause, check.fix));
    }
    return out;
}

// ---- leave

struct Departure {
    model::GroupSpec leaving; ///< the group with those that leave
    bool everybody = false;
    /// The configuration does not name it (any more): nothing but the record is left to do.
    std::optional<std::string> unnamed = {};
    ConfigEdit edit;
};

Departure plan_departure(Environment& environment)
{
    const auto& name = environment.options().member;
    Departure out{.leaving = environment.group(), .everybody = false, .unnamed = {}, .edit = {}};
    auto text = read_config_text(environment.config()->path);
    if (!name.empty()) {
        std::erase_if(out.leaving.members, [&](const auto& member) { return member.name != name; });
        auto recorded = job::recorded_members(environment.context());
        if (out.leaving.members.empty() && std::ranges::count(recorded, name) != 0) {
            out.unnamed = name;
            return out;
        }
        if (out.leaving.members.empty())
            throw Error{Code::usage,
                        fmt::format("group {} has no member {}", out.leaving.name, name),
                        {.hint = "tidemark status lists the members"}};
    }
    out.everybody = out.leaving.members.size() == environment.group().members.size();
    out.edit = out.everybody ? without_group(text, out.leaving.name)
                             : without_member(text, out.leaving.name, name);
    return out;
}

/// SQL that gives back what the role was given, for each member that can be asked.
std::string undo_sql(const Departure& departure)
{
    std::string out;
    for (const auto& member : departure.leaving.members) {
        out += fmt::format("-- member {}\n", member.name);
        try {
            auto reached =
                engine::postgres::reach_member(job::member_config(departure.leaving, member), {});
            bool super =
                reached.sql.exec("SELECT current_setting('is_superuser')").get(0, 0) == "on";
            out += engine::postgres::print_undo_sql({.version_num = reached.sql.server_version(),
                                                     .role = reached.sql.user(),
                                                     .dbname = reached.sql.dbname()},
                                                    super);
        } catch (const Error& error) {
            out += fmt::format("-- not reached: {}\n", error.what());
        }
    }
    return out;
}

void describe_departure(Environment& environment, const Departure& departure,
                        const std::vector<job::LeftServer>& servers, const std::string& sql)
{
    auto& output = environment.output();
    const auto& group = departure.leaving.name;
    if (departure.unnamed) {
        output.text(fmt::format("member {0} leaves group {1}: the configuration does not name it, "
                                "so its server is not visited; a slot {2} that is still there goes "
                                "with SELECT pg_drop_replication_slot('{2}');\n",
                                *departure.unnamed, group, job::slot_name(group)));
        return;
    }
    output.text(departure.everybody ? fmt::format("group {} is no longer backed up:\n", group)
                                    : fmt::format("member {} leaves group {}:\n",
                                                  departure.leaving.members.front().name, group));
    for (const auto& server : servers) {
        auto state = server.other_cluster ? "ANOTHER CLUSTER, nothing is dropped: " + server.problem
                     : !server.problem.empty() ? "NOT REACHED: " + server.problem
                     : server.had_slot         ? "slot " + job::slot_name(group) + " is dropped"
                                               : std::string("has no slot of ours");
        output.text(fmt::format("  {} {}: {}\n", server.member, server.where, state));
        if (server.prepared != 0 && !departure.everybody)
            environment.progress().warn(fmt::format(
                "{}: {} transactions are prepared there; let them be decided before it leaves: "
                "marks without it no longer see what it decides",
                server.member, server.prepared));
    }
    output.text(fmt::format("  {} loses\n{}", environment.config()->path.string(),
                            shown(departure.edit.lines, departure.leaving.members)));
    auto view = environment.view();
    for (const auto& member : departure.leaving.members) {
        auto stored = view.members.find(member.name);
        auto count = stored == view.members.end() ? 0 : stored->second.backups.size();
        output.text(fmt::format("  stays: {} backups of {}, for as long as marks need them\n",
                                count, member.name));
    }
    output.text("what was set up at the servers is undone by hand:\n" + indented(sql));
}

bool confirmed(Environment& environment)
{
    if (environment.options().yes) return true;
    if (::isatty(STDIN_FILENO) != 1 || environment.options().json)
        throw Error{Code::usage,
                    "leave asks before it drops slots, and there is no terminal",
                    {.hint = "look at --plan, then say --yes"}};
    std::cerr << "go on? [y/N] " << std::flush;
    std::string answer;
    std::getline(std::cin, answer);
    return answer == "y" || answer == "Y" || answer == "yes";
}

void drop_and_tell(Environment& environment, const Departure& departure)
{
    auto context = environment.context().for_group(departure.leaving);
    const auto slot = job::slot_name(departure.leaving.name);
    auto& list = environment.output().document()["servers"] = json::array();
    for (const auto& server : job::drop_slots(context)) {
        bool gone = server.problem.empty();
        list.push_back({{"member", server.member},
                        {"server", server.where},
                        {"slot_dropped", gone},
                        {"problem", server.problem},
                        {"other_cluster", server.other_cluster}});
        if (server.other_cluster)
            environment.progress().warn(
                fmt::format("{} {}: another cluster answers there, and nothing was dropped ({}); "
                            "where the member lives on, its slot {} may still hold log: SELECT "
                            "pg_drop_replication_slot('{}');",
                            server.member, server.where, server.problem, slot, slot));
        else if (!gone)
            environment.progress().warn(
                fmt::format("{} {}: the slot {} may still be there and hold log ({}); as soon as "
                            "the server can be reached: SELECT pg_drop_replication_slot('{}');",
                            server.member, server.where, slot, server.problem, slot));
    }
}

/// The sheet without who has left. That of a whole group stays: its backups do, too.
void leave_sheet(Environment& environment, const Departure& departure)
{
    if (departure.everybody) {
        environment.output().text(
            fmt::format("  stays: {}, for as long as there are backups\n",
                        sheet_beside(environment.config()->path, departure.leaving.name).string()));
        return;
    }
    auto rest = environment.group();
    std::erase_if(rest.members, [&](const auto& member) {
        return member.name == departure.leaving.members.front().name;
    });
    environment.set_group(std::move(rest));
    refresh_sheet(environment);
}

void write_arrival(Environment& environment, const Arrival& arrival)
{
    try {
        write_edit(environment.config()->path, arrival.edit);
    } catch (const Error& error) {
        throw Error{error.code(),
                    fmt::format("{}; the slot {} of {} is made and holds log", error.what(),
                                job::slot_name(arrival.alone.name), arrival.member.name),
                    {.hint = fmt::format("run the same command again, or at that server: SELECT "
                                         "pg_drop_replication_slot('{}');",
                                         job::slot_name(arrival.alone.name))}};
    }
}

} // namespace

int run_add_member(Environment& environment)
{
    require_file(environment, "add-member");
    auto arrival = plan_arrival(environment);
    if (environment.options().plan) return environment.done();
    // A slot of a member that no file names would hold log unseen.
    require_editable(environment.config()->path);
    return recorded_run(environment, [&](model::Run&) {
        auto outcome =
            job::initialise(environment.context().for_group(arrival.alone),
                            {.unbounded = environment.options().unbounded, .late = true});
        // Last: until the file names it, nobody uses what was made, and the command can be
        // repeated.
        write_arrival(environment, arrival);
        const auto& member = outcome.members.front();
        auto& output = environment.output();
        output.document()["slot_created"] = member.slot_created;
        output.document()["seeds"] = member.seeds;
        output.text(
            fmt::format("{}; {} is changed\n",
                        member.slot_created ? "the slot is made" : "the slot was there already",
                        environment.config()->path.string()));
        output.text("next: tidemark run takes a full backup of the group; until it is complete "
                    "the newest restorable mark is one without the new member\n");
        return environment.done();
    });
}

int run_leave(Environment& environment)
{
    require_file(environment, "leave");
    auto departure = plan_departure(environment);
    auto sql = undo_sql(departure);
    describe_departure(environment, departure,
                       job::find_slots(environment.context().for_group(departure.leaving)), sql);
    environment.output().document()["sql"] = sql;
    if (environment.options().plan) return environment.done();
    if (!departure.unnamed) require_editable(environment.config()->path);
    if (!confirmed(environment)) {
        environment.output().text("nothing was changed\n");
        return environment.done();
    }
    return recorded_run(environment, [&](model::Run&) {
        auto context = environment.context();
        auto lease = repo::Lease::acquire(context.storage(), departure.leaving.name, "log",
                                          context.owner(), {.ttl = context.lease_ttl});
        // A slot that is gone while the file still names the member shows in every check; one that
        // is forgotten would hold log unseen.
        drop_and_tell(environment, departure);
        auto names = job::member_names(departure.leaving);
        if (departure.unnamed) names.push_back(*departure.unnamed);
        job::record_departure(context, *lease, names);
        if (!departure.unnamed) {
            write_edit(environment.config()->path, departure.edit);
            leave_sheet(environment, departure);
        }
        environment.output().text("done\n");
        return environment.done();
    });
}

} // namespace tidemark::app
