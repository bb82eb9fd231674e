#include "job/init.h"

#include "base/error.h"
#include "job/crew.h"
#include "job/group_log.h"
#include "job/init_checks.h"
#include "job/membership.h"
#include "job/standby_slots.h"
#include "model/membership.h"
#include "repo/identities.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::job {

using base::Code;
using base::Error;

namespace {

/// What becomes known of a member while its slot is made.
struct Joining {
    model::Identity identity;
    bool known = false;
    bool slot_created = false;
    model::LogPosition log_start;
    std::vector<model::Seed> seeds;
    std::optional<std::string> history;
};

std::string slot_activity(const std::string& member)
{
    return "slot/" + member;
}

/// Another repository's slot keeps log for that one: what we told it would be missing there.
/// This repository's own are known by the member's record, or by the lease under which a run that
/// died before the record was going to make it.
void refuse_slot_of_others(const Context& context, const std::string& member)
{
    if (repo::read_lease(context.storage(), context.group.name, slot_activity(member))) return;
    auto name = slot_name(context.group.name);
    throw Error{
        Code::member_not_ready,
        fmt::format("the slot {} is there already, and this repository did not make it", name),
        {.hint = fmt::format("another repository may back up this server under the same group "
                             "name: choose another name with --group, or, when nobody uses it, "
                             "SELECT pg_drop_replication_slot('{}');",
                             name)}};
}

/// The slot, and the transactions prepared around its making.
void make_slot(Joining& joining, engine::Session& session)
{
    auto slot = session.slot();
    if (slot.exists && slot.lost) session.drop_slot();
    auto before = session.prepared();
    model::LogPosition restart;
    if (slot.exists && !slot.lost && slot.restart) {
        restart = {joining.identity.position.epoch, *slot.restart};
    } else {
        restart = session.create_slot();
        joining.slot_created = true;
    }
    joining.seeds = seeds_of(before, session.prepared());
    // A chain begins at a segment boundary: recovery verifies a segment's first page (rules.md 11).
    auto epoch = joining.identity.position.epoch;
    joining.history = session.history_file(epoch);
    auto history =
        joining.history ? model::parse_history(epoch, *joining.history) : model::History(epoch);
    // Soon after a promotion that boundary lies on the parent, and its log is needed from there on.
    auto start = restart.offset - restart.offset % joining.identity.log_segment_size;
    joining.log_start = {history.epoch_at(start), start};
}

model::MemberIdentity to_record(const Context& context, const std::string& member,
                                const Joining& joining, std::vector<model::Sweep> anchor,
                                const std::string& reason)
{
    return {.group = context.group.name,
            .member = member,
            .identity = joining.identity,
            .slot = slot_name(context.group.name),
            .log_start = joining.log_start,
            .seeds = joining.seeds,
            .anchor = std::move(anchor),
            .history = joining.history,
            .recorded = context.clock.now(),
            .reason = reason};
}

/// What must hold before anything is made at any member.
Joining look_at_member(const Context& context, engine::Session& session,
                       const repo::Identities& identities, const std::string& member,
                       const InitOptions& options)
{
    Joining joining;
    joining.identity = session.identify();
    auto slot = session.slot();
    if (auto recorded = identities.latest()) {
        repo::check_identity(recorded->value, joining.identity);
        joining.known = slot.exists && !slot.lost && !recorded->value.has_left();
    } else if (slot.exists) {
        refuse_slot_of_others(context, member);
    }
    if (!joining.known && !options.unbounded) refuse_unbounded(slot, session);
    return joining;
}

/// Taken when every member's log is being kept, two sweeps order what happens later across members
/// (model/cut.h).
std::vector<model::Sweep> two_sweeps(Crew& crew,
                                     const std::vector<std::unique_ptr<engine::Session>>& sessions)
{
    std::vector<model::Sweep> anchor(2);
    for (auto& positions : anchor) {
        std::vector<model::Offset> at(crew.size());
        crew.run(
            [&](std::size_t i, std::stop_token) { at[i] = sessions[i]->insert_position().offset; });
        for (std::size_t i = 0; i < crew.size(); ++i)
            positions.emplace(crew.name(i), at[i]);
    }
    return anchor;
}

} // namespace

std::vector<model::Seed> seeds_of(const std::vector<model::PreparedBranch>& before,
                                  const std::vector<model::PreparedBranch>& after)
{
    auto seed = [](const model::PreparedBranch& branch, bool gone) {
        return model::Seed{.xid = branch.xid,
                           .gid = branch.gid,
                           .prepared_at = branch.prepared,
                           .database = branch.database_oid,
                           .database_name = branch.database,
                           .owner = branch.owner_oid,
                           .owner_name = branch.owner,
                           .gone = gone};
    };
    auto same = [](const model::PreparedBranch& a, const model::PreparedBranch& b) {
        return a.xid == b.xid && a.gid == b.gid;
    };
    std::vector<model::Seed> seeds;
    for (const auto& branch : after)
        seeds.push_back(seed(branch, false));
    for (const auto& branch : before) {
        bool still = std::any_of(after.begin(), after.end(),
                                 [&](const auto& other) { return same(branch, other); });
        if (!still) seeds.push_back(seed(branch, true));
    }
    return seeds;
}

InitOutcome initialise(const Context& context, const InitOptions& options)
{
    auto lease = repo::Lease::acquire(context.storage(), context.group.name, "log", context.owner(),
                                      {.ttl = context.lease_ttl});
    Crew crew(member_names(context.group), context.stop);
    std::vector<std::unique_ptr<engine::Session>> sessions(crew.size());
    std::vector<Joining> joining(crew.size());
    if (!options.late) refuse_missing(context);
    auto identities = [&](std::size_t i) {
        return repo::Identities(context.storage(),
                                {.group = context.group.name, .member = crew.name(i)});
    };
    crew.run([&](std::size_t i, std::stop_token) {
        sessions[i] = connect(context, context.group.members[i]);
        joining[i] = look_at_member(context, *sessions[i], identities(i), crew.name(i), options);
    });
    std::vector<std::pair<std::string, std::string>> clusters;
    for (std::size_t i = 0; i < crew.size(); ++i)
        clusters.emplace_back(crew.name(i), joining[i].identity.system_id);
    refuse_twins(clusters);
    crew.run([&](std::size_t i, std::stop_token) {
        if (!joining[i].known) {
            auto making = repo::Lease::acquire(context.storage(), context.group.name,
                                               slot_activity(crew.name(i)), context.owner(),
                                               {.ttl = context.lease_ttl, .renew = false});
            make_slot(joining[i], *sessions[i]);
        }
        keep_log_on_standbys(context, context.group.members[i], *sessions[i],
                             joining[i].log_start.offset);
    });
    std::vector<model::Sweep> anchor;
    bool all_new = !options.late && std::none_of(joining.begin(), joining.end(),
                                                 [](const Joining& one) { return one.known; });
    if (all_new) anchor = two_sweeps(crew, sessions);
    InitOutcome outcome;
    for (std::size_t i = 0; i < crew.size(); ++i) {
        const auto& one = joining[i];
        if (!one.known)
            identities(i).append(
                lease.get(), to_record(context, crew.name(i), one, anchor,
                                       options.late ? std::string(model::kMemberJoined) : "init"));
        outcome.members.push_back({.name = crew.name(i),
                                   .identity = one.identity,
                                   .slot_created = one.slot_created,
                                   .recorded = !one.known,
                                   .seeds = one.seeds.size()});
    }
    return outcome;
}

model::MemberIdentity begin_chain(const Context& context, const model::MemberSpec& member,
                                  engine::Session& session, const repo::Lease& lease,
                                  const std::string& reason)
{
    Joining joining;
    joining.identity = session.identify();
    repo::Identities identities(context.storage(),
                                {.group = context.group.name, .member = member.name});
    if (auto recorded = identities.latest()) {
        refuse_departed(recorded->value);
        repo::check_identity(recorded->value, joining.identity);
    }
    make_slot(joining, session);
    auto record = to_record(context, member.name, joining, {}, reason);
    identities.append(&lease, record);
    return record;
}

} // namespace tidemark::job
