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
#include <vector>

namespace tidemark::job {

using base::Code;
using base::Error;

namespace {

const model::OpenTransactions::Member* table_entry(const model::OpenTransactions* table,
                                                   const std::string& member)
{
    if (table == nullptr) return nullptr;
    auto found = table->members.find(member);
    return found == table->members.end() ? nullptr : &found->second;
}

/// Log that was kept when the mark was placed is still stored as far back as its proof read it.
bool reaches_back(const Context& context, const repo::StoredMark& mark,
                  const model::CutMember& member, const model::OpenTransactions* previous)
{
    const auto* table = table_entry(previous, member.log.name);
    if (table != nullptr &&
        member.log.complete_since <= model::known_to(*table, member.log.history))
        return true;
    auto recorded = identity_at(context, {.group = mark.value.group, .member = member.log.name},
                                mark_place(mark));
    return member.log.complete_since <= recorded.log_start.offset;
}

[[noreturn]] void throw_log_gone(const repo::StoredMark& mark, const std::string& member,
                                 model::Offset stored_from)
{
    throw Error{
        Code::log_gap,
        fmt::format("the proof of {} needs log of member {} from before {}, which is no longer "
                    "stored: nothing can be said about it",
                    repo::mark_id(mark.number()), member, model::format_offset(stored_from)),
        {.hint = "tidemark verify says what is missing; of a mark that retention keeps only for "
                 "the proof of the next one, the log may rightly be gone"}};
}

/// Retention keeps the log from the mark before on (add_need in expire_survey.cpp), unless a
/// failover left that mark's end on an abandoned branch.
void require_kept_log(const repo::StoredMark& mark, const model::CutMember& member,
                      const model::OpenTransactions* previous)
{
    const auto* table = table_entry(previous, member.log.name);
    if (table == nullptr || model::known_to(*table, member.log.history) != table->e ||
        member.log.history.epoch_at(table->e) != table->epoch)
        return;
    throw_log_gone(mark, member.log.name, member.log.complete_since);
}

/// Without the log around a mark there is no proof of anything.
void require_log_of_cut(const repo::StoredMark& mark, const model::CutResult& recomputed,
                        const std::vector<model::CutMember>& members)
{
    for (const auto& violation : recomputed.violations) {
        bool known = std::ranges::any_of(mark.value.violations, [&](const auto& one) {
            return one.kind == violation.kind && one.member == violation.member;
        });
        if (violation.kind != model::ViolationKind::log_gap || known) continue;
        for (const auto& member : members)
            if (member.log.name == violation.member)
                throw_log_gone(mark, member.log.name, member.log.complete_since);
    }
}

/// Of log that was let go we miss prepares whose ends are still stored. The mark knew them, so
/// inside its cut they are not the ends of unknown transactions, but for those that it says are.
void forget_ends(const model::Mark& mark, const model::MarkMember& stored,
                 const model::OpenTransactions* previous, model::CutMember& member)
{
    std::set<std::uint32_t> prepared;
    for (const auto& seed : member.log.seeds)
        prepared.insert(seed.xid);
    if (previous != nullptr)
        for (const auto& branch : previous->branches)
            if (branch.member == stored.name && branch.finish != model::Finish::lost)
                prepared.insert(branch.xid);
    // Abandoned tails have xids of their own, and no unknown ends.
    auto present = [&](const model::TransactionEvent& event) {
        return model::on_history(member.log.history, event.epoch, event.end);
    };
    for (const auto& event : member.log.events)
        if (event.kind == model::EventKind::prepare && present(event)) prepared.insert(event.xid);
    std::erase_if(member.log.events, [&](const model::TransactionEvent& event) {
        if (event.kind == model::EventKind::prepare || !event.gid.empty() || !present(event) ||
            event.end > stored.cut.offset || prepared.contains(event.xid))
            return false;
        return std::ranges::none_of(mark.at.unknown_finishes, [&](const auto& finish) {
            return finish.member == stored.name && finish.start == event.start;
        });
    });
}

/// What of the log is there: true when the proof can be compared with all of it.
bool look_how_far_back(const Context& context, model::CutInput& input, AuditReport& report)
{
    const auto& mark = report.mark.value;
    for (std::size_t i = 0; i < input.members.size(); ++i) {
        auto& member = input.members[i];
        if (reaches_back(context, report.mark, member, input.previous)) continue;
        require_kept_log(report.mark, member, input.previous);
        auto since = member.log.complete_since;
        report.older_gone[member.log.name] = {member.log.history.epoch_at(since), since};
        forget_ends(mark, mark.members[i], input.previous, member);
    }
    return report.older_gone.empty();
}

} // namespace

AuditReport audit_mark(const Context& context, const std::string& name)
{
    repo::Marks marks(context.storage(), context.group.name);
    AuditReport report{.mark = marks.need(name),
                       .recomputed = {},
                       .log_bytes = 0,
                       .whole = false,
                       .older_gone = {},
                       .differences = {}};
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
    input.created = mark.created;
    for (const auto& member : mark.members) {
        base::with_context("member " + member.name, [&] {
            auto cut = read_cut_member(context, mark_place(report.mark), member, input.previous,
                                       [&](const model::LogIndex& index) {
                                           report.log_bytes += index.range.to - index.range.from;
                                           for (const auto& hole : index.unread)
                                               report.differences.push_back(fmt::format(
                                                   "{}: log from {} to {} cannot be read: {}",
                                                   member.name, model::format_offset(hole.from),
                                                   model::format_offset(hole.to), hole.why));
                                       });
            input.members.push_back(std::move(cut));
        });
    }
    add_tails(context, mark_place(report.mark), mark.members, input);
    for (const auto& violation : mark.violations) {
        if (violation.kind == model::ViolationKind::log_unread)
            report.differences.push_back(
                fmt::format("{}: log from {} to {} could not be read when the mark was placed: it "
                            "is not proven",
                            violation.member, model::format_offset(violation.cut),
                            model::format_offset(violation.bound)));
    }
    bool reaches = look_how_far_back(context, input, report);
    report.recomputed = model::compute_cut(input);
    require_log_of_cut(report.mark, report.recomputed, input.members);
    // Log that cannot be read is told already; what else differs follows from it.
    report.whole = reaches && report.differences.empty();
    AuditScope scope{.whole = report.whole, .complete_since = {}};
    for (const auto& [member, from] : report.older_gone)
        scope.complete_since[member] = from.offset;
    std::ranges::move(compare_proof(mark, report.recomputed, scope),
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

std::optional<bool> is_inside(const model::Mark& mark, const std::string& member,
                              const model::TransactionEvent& event)
{
    auto one = std::ranges::find(mark.members, member, &model::MarkMember::name);
    if (one == mark.members.end()) return std::nullopt;
    return one->history.contains({event.epoch, event.end}) && event.end <= one->cut.offset;
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
                    found.push_back({member.name, event, is_inside(mark, member.name, event)});
            }
        }
    }
    return found;
}

} // namespace tidemark::job
