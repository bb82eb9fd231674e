#include "job/audit.h"

#include "base/error.h"
#include "job/audit_compare.h"
#include "job/mark_input.h"
#include "job/reindex.h"
#include "model/gid_pattern.h"
#include "model/instances.h"
#include "repo/histories.h"
#include "repo/identities.h"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>
#include <map>
#include <set>

namespace tidemark::job {

using base::Code;
using base::Error;

namespace {

/// Log that was kept when the mark was placed is still stored as far back as its proof read it.
bool reaches_back(const Context& context, const model::Mark& mark, const model::CutMember& member,
                  const model::OpenTransactions* previous)
{
    if (previous != nullptr) {
        auto table = previous->members.find(member.log.name);
        if (table != previous->members.end() &&
            member.log.complete_since <= model::known_to(table->second, member.log.history))
            return true;
    }
    auto recorded =
        identity_at(context, {.group = mark.group, .member = member.log.name}, mark.created);
    return member.log.complete_since <= recorded.log_start.offset;
}

} // namespace

AuditReport audit_mark(const Context& context, const std::string& name)
{
    repo::Marks marks(context.storage(), context.group.name);
    AuditReport report{
        .mark = marks.need(name), .recomputed = {}, .log_bytes = 0, .differences = {}};
    const auto& mark = report.mark.value;
    std::optional<repo::StoredMark> previous;
    if (mark.previous) previous = marks.find(repo::parse_mark_selector(*mark.previous));
    if (mark.previous && !previous) {
        throw Error{Code::not_restorable,
                    fmt::format("the proof of {} continues from {}, which is no longer stored",
                                repo::mark_id(report.mark.number()), *mark.previous),
                    {.hint = "if retention removed it, nothing is damaged: marks it keeps as they "
                             "were can be audited, `tidemark list marks` shows the newer ones"}};
    }
    model::CutInput input;
    input.previous = previous ? &previous->value.table : nullptr;
    input.anchor = mark.anchor;
    input.decision_tables = mark.decision_tables;
    for (const auto& member : mark.members) {
        base::with_context("member " + member.name, [&] {
            auto cut = read_cut_member(
                context, mark, member, input.previous, [&](const model::LogIndex& index) {
                    report.log_bytes += index.range.to - index.range.from;
                    for (const auto& hole : index.unread)
                        report.differences.push_back(
                            fmt::format("{}: log from {} to {} cannot be read: {}", member.name,
                                        model::format_offset(hole.from),
                                        model::format_offset(hole.to), hole.why));
                });
            input.members.push_back(std::move(cut));
        });
    }
    for (const auto& violation : mark.violations) {
        if (violation.kind == model::ViolationKind::log_unread)
            report.differences.push_back(
                fmt::format("{}: log from {} to {} could not be read when the mark was placed: it "
                            "is not proven",
                            violation.member, model::format_offset(violation.cut),
                            model::format_offset(violation.bound)));
    }
    report.recomputed = model::compute_cut(input);
    // Log that cannot be read is told already; what else differs follows from it.
    bool whole = report.differences.empty() &&
                 std::ranges::all_of(input.members, [&](const model::CutMember& member) {
                     return reaches_back(context, mark, member, input.previous);
                 });
    std::ranges::move(compare_proof(mark, report.recomputed, {.whole = whole}),
                      std::back_inserter(report.differences));
    return report;
}

namespace {

model::GidPattern pattern_at(const model::Mark& mark, const model::MemberSpec& member)
{
    auto line = std::ranges::find(mark.members, member.name, &model::MarkMember::name);
    bool known = line != mark.members.end() && !line->gid_pattern.empty();
    return model::GidPattern::parse(known ? line->gid_pattern : member.gid_pattern);
}

} // namespace

std::vector<GidEvent> explain_gid(const Context& context, const model::Mark& mark,
                                  const std::string& gid)
{
    std::vector<GidEvent> found;
    for (const auto& member : context.group.members) {
        model::MemberId id{.group = context.group.name, .member = member.name};
        auto recorded = repo::Identities(context.storage(), id).latest();
        if (!recorded) continue;
        auto pattern = pattern_at(mark, member);
        repo::LogReader reader(context.storage(), repo::LogCatalog::load(context.storage(), id));
        std::map<std::uint32_t, std::string> open;
        std::set<std::pair<model::Epoch, model::Offset>> seen;
        for (const auto& seed : recorded->value.seeds)
            open[seed.xid] = seed.gid;
        for (const auto& piece : reader.catalog().pieces) {
            auto history = repo::load_history(context.storage(), id, piece.range.epoch);
            auto index =
                reader.index(piece, index_rebuilder(context, member, recorded->value.identity,
                                                    reader.catalog(), history));
            for (auto& event : index.transactions) {
                // Pieces overlap, joined ones for instance.
                if (!seen.emplace(event.epoch, event.start).second) continue;
                if (event.kind == model::EventKind::prepare)
                    open[event.xid] = event.gid;
                else if (auto known = open.find(event.xid); known != open.end())
                    event.gid = known->second;
                if (event.gid == gid || pattern.global_id(event.gid) == gid)
                    found.push_back({member.name, event});
            }
        }
    }
    return found;
}

} // namespace tidemark::job
