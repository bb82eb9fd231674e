#include "base/error.h"
#include "job/index_maker.h"
#include "job/restore.h"
#include "repo/histories.h"
#include "repo/log_reader.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>

namespace tidemark::job {

using base::Error;

namespace {

/// The newest history that passes through the position and has log of its own: where the members'
/// users went on.
model::History newest_history(store::Storage& storage, const repo::LogCatalog& catalog,
                              const repo::MemberPlan& member)
{
    auto epochs = catalog.histories;
    std::sort(epochs.rbegin(), epochs.rend());
    for (auto epoch : epochs) {
        if (epoch <= member.history.current()) break;
        auto history = repo::load_history(storage, catalog.id, epoch);
        if (!history.contains(member.target)) continue;
        auto own = std::any_of(catalog.pieces.begin(), catalog.pieces.end(),
                               [&](const auto& piece) { return piece.range.epoch == epoch; });
        if (own) return history;
    }
    return member.history;
}

/// [from, to) along `history`, epoch by epoch.
std::vector<model::LogRange> ranges_of(const model::History& history,
                                       const model::LogPosition& from, const model::LogPosition& to)
{
    std::vector<model::LogRange> out;
    auto at = from.offset;
    bool passed = false;
    for (const auto& step : history.ancestors()) {
        passed = passed || step.epoch == from.epoch;
        if (!passed) continue;
        if (step.epoch == to.epoch) break;
        out.push_back({step.epoch, at, step.left_at});
        at = step.left_at;
    }
    out.push_back({to.epoch, at, to.offset});
    return out;
}

class LostWorkFinder {
public:
    LostWorkFinder(const Context& context, const repo::RestorePlan& plan,
                   const repo::MemberPlan& member)
        : context_(context), member_(member)
    {
        if (!plan.mark) return;
        for (const auto& doubt : plan.mark->value.at.in_doubt) {
            if (doubt.branch.member == member.member)
                prepared_.emplace(doubt.branch.xid, doubt.branch.gid);
        }
    }

    /// Absent when nothing is stored after the position.
    std::optional<LostWork> find(const model::MemberId& id)
    {
        repo::LogReader reader(context_.storage(), repo::LogCatalog::load(context_.storage(), id));
        auto history = newest_history(context_.storage(), reader.catalog(), member_);
        auto end = reader.catalog().durable_end(history);
        if (!end || end->offset <= member_.target.offset) return std::nullopt;
        lost_.member = member_.member;
        lost_.from = member_.target;
        lost_.to = *end;
        try {
            for (const auto& range : ranges_of(history, member_.target, *end))
                read(reader, history, range);
        } catch (const Error& error) {
            lost_.unknown = error.what();
        }
        return std::move(lost_);
    }

private:
    void read(const repo::LogReader& reader, const model::History& history,
              const model::LogRange& range)
    {
        if (range.from >= range.to) return;
        const auto& identity = member_.backup.value.identity;
        model::MemberSpec spec{
            .name = member_.member, .url = {}, .data_dir = {}, .gid_pattern = {}};
        IndexMaker decoder(context_.engine(spec), {.version_num = identity.version_num,
                                                   .system_id = identity.system_id,
                                                   .log_segment_size = identity.log_segment_size,
                                                   .epoch = range.epoch,
                                                   .range_from = range.from,
                                                   .feed_from = range.from,
                                                   .at_record = true});
        try {
            reader.read(history, {range.epoch, range.from}, {range.epoch, range.to},
                        [&](const model::LogPosition& at, base::ByteView bytes) {
                            decoder.feed(at.offset, bytes);
                        });
        } catch (const Error&) {
            add(decoder.take());
            throw;
        }
        add(decoder.take());
    }

    void add(const model::LogIndex& index)
    {
        lost_.commits += index.commits;
        for (const auto& hole : index.unread)
            lost_.unknown = hole.why;
        for (const auto& event : index.transactions) {
            if (event.kind == model::EventKind::prepare) prepared_[event.xid] = event.gid;
            if (event.kind == model::EventKind::commit) {
                auto known = prepared_.find(event.xid);
                lost_.gids.push_back(known != prepared_.end() ? known->second : event.gid);
            }
        }
    }

    const Context& context_;
    const repo::MemberPlan& member_;
    std::map<std::uint32_t, std::string> prepared_;
    LostWork lost_;
};

/// What was in doubt at the mark and committed by this restore is there, although production's own
/// COMMIT PREPARED lies behind the mark.
void leave_out_settled(RestoreReport& report)
{
    for (auto& lost : *report.lost) {
        auto member = std::ranges::find(report.members, lost.member, &RestoredMember::name);
        if (member == report.members.end()) continue;
        for (const auto& decision : member->decisions) {
            auto gid = std::ranges::find(lost.gids, decision.gid);
            if (decision.action != "commit" || gid == lost.gids.end()) continue;
            lost.gids.erase(gid);
            --lost.commits;
        }
    }
}

} // namespace

std::vector<LostWork> find_lost_work(const Context& context, const repo::RestorePlan& plan)
{
    std::vector<LostWork> all;
    for (const auto& [name, member] : plan.members) {
        try {
            auto lost =
                LostWorkFinder(context, plan, member).find({.group = plan.group, .member = name});
            if (lost) all.push_back(std::move(*lost));
        } catch (const Error& error) {
            all.push_back({.member = name,
                           .from = member.target,
                           .to = member.target,
                           .unknown = error.what(),
                           .commits = 0,
                           .gids = {}});
        }
    }
    return all;
}

void add_lost_work(const Context& context, const repo::RestorePlan& plan, RestoreReport& report)
{
    report.lost = find_lost_work(context, plan);
    leave_out_settled(report);
    for (const auto& lost : *report.lost) {
        if (!lost.unknown.empty())
            report.warnings.push_back(
                fmt::format("what is lost of member {} after {} cannot be told completely: {}",
                            lost.member, model::format_position(lost.from), lost.unknown));
    }
}

} // namespace tidemark::job
