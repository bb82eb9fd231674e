#include "job/leave.h"

#include "base/error.h"
#include "job/crew.h"
#include "job/group_log.h"
#include "repo/identities.h"

namespace tidemark::job {

using base::Error;
using engine::StandbyOrder;

namespace {

std::vector<LeftServer> visit(const Context& context, const model::MemberSpec& member, bool drop)
{
    std::vector<LeftServer> out(1);
    out[0].member = member.name;
    out[0].where = "primary";
    try {
        auto session = connect(context, member);
        // A url that leads elsewhere by now: a slot of our name there is somebody else's.
        repo::Identities identities(context.storage(),
                                    {.group = context.group.name, .member = member.name});
        if (auto recorded = identities.latest())
            repo::check_identity(recorded->value, session->identify());
        out[0].had_slot = session->slot().exists;
        out[0].prepared = session->prepared().size();
        auto what = drop ? StandbyOrder::What::drop_slot : StandbyOrder::What::look;
        for (auto& standby : session->standbys({.what = what})) {
            LeftServer one{.member = member.name,
                           .where = standby.where,
                           .had_slot = standby.slot.exists,
                           .prepared = 0,
                           .problem = {},
                           .fix = standby.fix};
            if (!standby.reachable || (drop && standby.slot.exists)) one.problem = standby.problem;
            out.push_back(std::move(one));
        }
        if (drop) session->drop_slot();
    } catch (const Error& error) {
        out[0].problem = error.what();
        out[0].fix = error.hint();
        out[0].other_cluster = error.code() == base::Code::identity_mismatch;
    }
    return out;
}

std::vector<LeftServer> visit_all(const Context& context, bool drop)
{
    Crew crew(member_names(context.group), context.stop);
    std::vector<std::vector<LeftServer>> each(crew.size());
    crew.run([&](std::size_t i, std::stop_token) {
        each[i] = visit(context, context.group.members[i], drop);
    });
    std::vector<LeftServer> out;
    for (auto& servers : each)
        out.insert(out.end(), std::make_move_iterator(servers.begin()),
                   std::make_move_iterator(servers.end()));
    return out;
}

} // namespace

std::vector<LeftServer> find_slots(const Context& context)
{
    return visit_all(context, false);
}

std::vector<LeftServer> drop_slots(const Context& context)
{
    return visit_all(context, true);
}

} // namespace tidemark::job
