#include "job/restore.h"

#include "job/index_maker.h"

#include "base/error.h"
#include "job/group_restore.h"
#include "job/reading.h"
#include "job/restore_member.h"
#include "repo/log_reader.h"

#include <fmt/format.h>

namespace tidemark::job {

using base::Code;
using base::Error;

namespace {

std::vector<std::unique_ptr<MemberRestore>>
make_members(const Context& context, const repo::RestorePlan& plan, const RestoreOptions& options)
{
    std::vector<std::unique_ptr<MemberRestore>> members;
    for (const auto& [name, member] : plan.members) {
        members.push_back(std::make_unique<MemberRestore>(context, plan, member, options));
    }
    return members;
}

} // namespace

std::vector<std::string> check_restore(const Context& context, const repo::RestorePlan& plan,
                                       const RestoreOptions& options)
{
    auto warnings = plan.warnings;
    for (auto& member : make_members(context, plan, options)) {
        for (auto& warning : member->preflight())
            warnings.push_back(std::move(warning));
    }
    return warnings;
}

RestoreReport restore_group(const Context& context, const repo::RestorePlan& plan,
                            const RestoreOptions& options)
{
    GroupRestore group(context, plan, options);
    group.preflight();
    Reading reading(context, plan);
    group.begin();
    group.recover();
    group.open();
    group.hand_over();
    auto report = group.report();
    report.lost = find_lost_work(context, plan);
    report.ended = context.clock.now();
    return report;
}

std::vector<LostWork> find_lost_work(const Context& context, const repo::RestorePlan& plan)
{
    std::vector<LostWork> all;
    for (const auto& [name, member] : plan.members) {
        model::MemberId id{.group = plan.group, .member = name};
        repo::LogReader reader(context.storage(), repo::LogCatalog::load(context.storage(), id));
        auto end = reader.catalog().durable_end(member.history);
        if (!end || end->offset <= member.target.offset) continue;
        const auto& identity = member.backup.value.identity;
        model::MemberSpec spec{.name = name, .url = {}, .data_dir = {}, .gid_pattern = {}};
        IndexMaker decoder(context.engine(spec), {.version_num = identity.version_num,
                                                  .system_id = identity.system_id,
                                                  .log_segment_size = identity.log_segment_size,
                                                  .epoch = member.target.epoch,
                                                  .range_from = member.target.offset,
                                                  .feed_from = member.target.offset,
                                                  .at_record = true});
        reader.read(member.history, member.target, *end,
                    [&](const model::LogPosition& at, base::ByteView bytes) {
                        decoder.feed(at.offset, bytes);
                    });
        auto index = decoder.take();
        LostWork lost{.member = name,
                      .from = member.target,
                      .to = *end,
                      .commits = index.commits,
                      .gids = {}};
        std::map<std::uint32_t, std::string> prepared;
        if (plan.mark) {
            for (const auto& doubt : plan.mark->value.at.in_doubt) {
                if (doubt.branch.member == name)
                    prepared.emplace(doubt.branch.xid, doubt.branch.gid);
            }
        }
        for (const auto& event : index.transactions) {
            if (event.kind == model::EventKind::prepare) prepared[event.xid] = event.gid;
            if (event.kind == model::EventKind::commit) {
                auto known = prepared.find(event.xid);
                lost.gids.push_back(known != prepared.end() ? known->second : event.gid);
            }
        }
        all.push_back(std::move(lost));
    }
    return all;
}

std::vector<std::filesystem::path> discard_restore(const Context& context,
                                                   const repo::RestorePlan& plan,
                                                   const RestoreOptions& options)
{
    std::vector<std::filesystem::path> removed;
    auto members = make_members(context, plan, options);
    for (auto& member : members)
        member->require_discardable();
    for (auto& member : members) {
        for (auto& path : member->discard())
            removed.push_back(std::move(path));
    }
    return removed;
}

std::vector<std::filesystem::path> would_remove(const Context& context,
                                                const repo::RestorePlan& plan,
                                                const RestoreOptions& options, bool discard)
{
    std::vector<std::filesystem::path> paths;
    for (auto& member : make_members(context, plan, options)) {
        if (discard) member->require_discardable();
        if (!discard && member->continues()) continue;
        for (auto& path : member->removals())
            paths.push_back(std::move(path));
    }
    return paths;
}

} // namespace tidemark::job
