#include "job/group_restore.h"

#include "base/error.h"
#include "job/decision_rows.h"
#include "job/mark_input.h"
#include "job/operator_words.h"
#include "job/reindex.h"
#include "model/gid_pattern.h"
#include "repo/log_reader.h"
#include "repo/view.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace tidemark::job {

using base::Code;
using base::Error;

namespace {

std::vector<std::string> planned_names(const repo::RestorePlan& plan)
{
    std::vector<std::string> names;
    for (const auto& [name, member] : plan.members)
        names.push_back(name);
    return names;
}

/// By id: a member at which such a branch was prepared behind the cut. The coordinator decides
/// after all have prepared, so none of these has its decision inside a consistent cut; whatever it
/// decided before its own restore point was prepared before e, which lies below log_end.
std::map<std::string, std::string> prepared_behind(const Context& context, const std::string& group,
                                                   const repo::StoredMark& mark)
{
    std::map<std::string, std::string> out;
    for (const auto& member : mark.value.members) {
        model::MemberId id{.group = group, .member = member.name};
        repo::LogReader reader(context.storage(), repo::LogCatalog::load(context.storage(), id));
        auto pattern =
            model::GidPattern::parse(member.gid_pattern.empty() ? "identical" : member.gid_pattern);
        const auto recorded = identity_at(context, id, mark_place(mark));
        const model::MemberSpec spec{
            .name = member.name, .url = {}, .data_dir = {}, .gid_pattern = pattern.text()};
        // Indexes are derived data: one that is missing or damaged is no reason to stay closed.
        auto rebuild =
            index_rebuilder(context, spec, recorded.identity, reader.catalog(), member.history);
        auto end = model::LogPosition{member.history.current(), member.log_end};
        for (const auto& index : reader.indexes(member.history, member.cut, end, rebuild)) {
            for (const auto& event : index.transactions) {
                if (event.kind != model::EventKind::prepare || event.start < member.cut.offset ||
                    event.start >= member.log_end)
                    continue;
                out.emplace(event.gid, member.name);
                if (auto global = pattern.global_id(event.gid)) out.emplace(*global, member.name);
            }
        }
    }
    return out;
}

/// Opening was interrupted between two members: all that are below handed_over had come as far as
/// being opened. Where one is missing or was begun anew the others are somebody's servers by now.
bool opening_was_interrupted(const std::vector<std::unique_ptr<MemberRestore>>& members)
{
    bool some_open = false, some_closed = false;
    for (const auto& member : members) {
        auto phase = member->phase_here();
        if (!phase || *phase < RestorePhase::settled) return false;
        (*phase == RestorePhase::handed_over ? some_open : some_closed) = true;
    }
    return some_open && some_closed;
}

/// All are open, and the operator has come to know what to do about branches that were kept.
bool more_can_be_settled(const std::vector<std::unique_ptr<MemberRestore>>& members)
{
    return std::all_of(members.begin(), members.end(),
                       [](const auto& member) {
                           return member->phase_here() == RestorePhase::handed_over;
                       }) &&
           std::any_of(members.begin(), members.end(),
                       [](const auto& member) { return member->would_settle_more(); });
}

/// Empty when the repository knows of all timelines that were begun.
std::string unclaimed_timelines(const std::vector<std::unique_ptr<MemberRestore>>& members)
{
    std::string numbers, why;
    for (const auto& member : members) {
        const auto& state = member->state();
        if (state.unclaimed.empty()) continue;
        numbers +=
            fmt::format("{}{} at {}", numbers.empty() ? "" : ", ", state.claimed, state.member);
        why = state.unclaimed;
    }
    if (numbers.empty()) return {};
    return fmt::format("the repository does not know of the new timelines ({}), so another restore "
                       "may take the same numbers: of such copies let it back up one only ({})",
                       numbers, why);
}

} // namespace

std::vector<std::unique_ptr<MemberRestore>>
make_members(const Context& context, const repo::RestorePlan& plan, const RestoreOptions& options)
{
    std::vector<std::unique_ptr<MemberRestore>> members;
    for (const auto& [name, member] : plan.members)
        members.push_back(std::make_unique<MemberRestore>(context, plan, member, options));
    // Who stops at the mark leaves alone what is open.
    if (options.joint && !options.joint->opening) return members;
    if (opening_was_interrupted(members) || (!options.force && more_can_be_settled(members))) {
        for (auto& member : members)
            member->take_up_again();
    }
    return members;
}

void check_decisions(const repo::RestorePlan& plan, const RestoreOptions& options,
                     const std::vector<std::unique_ptr<MemberRestore>>& members)
{
    if (!plan.mark || options.decisions.empty()) return;
    EarlierDecisions earlier;
    for (const auto& member : members)
        earlier.emplace(member->state().member, member->decisions_here());
    check_words(plan.mark->value, options, earlier);
}

void refuse_finished(const std::vector<std::unique_ptr<MemberRestore>>& members)
{
    std::size_t kept = 0;
    for (const auto& member : members) {
        if (member->phase_here() != RestorePhase::handed_over || member->continues()) return;
        kept += member->kept_here();
    }
    if (kept == 0)
        throw Error{Code::target_not_empty,
                    "all members were restored to this mark and handed over already; nothing is "
                    "left to do",
                    {.hint = "the report lies beside them; choose another folder, or --force to "
                             "restore once more"}};
    throw Error{Code::target_not_empty,
                fmt::format("all members were restored to this mark and handed over already; {} "
                            "transactions were kept prepared",
                            kept),
                {.hint = "name them in a file as the report shows and add --decisions FILE, or "
                         "settle them with COMMIT PREPARED; --force restores once more"}};
}

GroupRestore::GroupRestore(const Context& context, const repo::RestorePlan& plan,
                           const RestoreOptions& options)
    : context_(context), plan_(plan), options_(options), crew_(planned_names(plan), context.stop),
      members_(make_members(context, plan, options)), started_(context.clock.now()),
      warnings_(plan.warnings), notes_(plan.notes)
{
}

void GroupRestore::preflight()
{
    check_decisions(plan_, options_, members_);
    if (!options_.force) refuse_finished(members_);
    for (auto& warning : job::preflight(context_, plan_, options_, members_))
        warnings_.push_back(std::move(warning));
}

void GroupRestore::begin()
{
    for (auto& member : members_)
        member->begin();
}

void GroupRestore::recover()
{
    crew_.run_to_end([&](std::size_t i, std::stop_token stop) {
        members_[i]->write_files(stop);
        members_[i]->recover(stop);
    });
}

void GroupRestore::open()
{
    if (plan_.mark && model::has_decision_tables(plan_.mark->value)) consult_tables();
    crew_.run_to_end([&](std::size_t i, std::stop_token stop) { members_[i]->promote(stop); });
    crew_.run_to_end([&](std::size_t i, std::stop_token) { members_[i]->settle(); });
}

void GroupRestore::consult_tables()
{
    std::vector<std::string> told; // before a member was opened
    for (const auto& member : members_)
        for (const auto& sentence : member->state().table_warnings)
            if (std::ranges::find(told, sentence) == told.end()) told.push_back(sentence);
    bool opened =
        std::ranges::any_of(members_, [](const auto& member) { return member->state().opened; });
    // Users of an open member may have tidied its table; what it decided is in the state files.
    if (!opened) {
        const auto before = std::ssize(warnings_);
        ask_decision_tables();
        told.assign(warnings_.begin() + before, warnings_.end());
    } else {
        warnings_.insert(warnings_.end(), told.begin(), told.end());
    }
    for (auto& member : members_)
        member->keep_table_warnings(told);
}

void GroupRestore::ask_decision_tables()
{
    if (!options_.settle) {
        warnings_.push_back("everything in doubt is kept, so no decision table was asked whether "
                            "the mark is consistent");
        return;
    }
    const auto& mark = plan_.mark->value;
    auto rows = options_.joint ? options_.joint->rows : model::DecisionRows{};
    model::DecisionRows here;
    std::map<std::string, model::TableColumn> tables;
    std::vector<std::string> elsewhere;
    for (const auto& table : mark.decision_tables) {
        auto column = model::parse_table_column(table.table);
        if (!column) continue;
        if (plan_.members.contains(table.member)) {
            tables.emplace(table.member, *column);
            here[table.member]; // made before the threads
        } else if (!rows.contains(table.member)) {
            elsewhere.push_back(table.member);
        }
    }
    auto ids = model::ids_to_ask(mark);
    const auto behind = prepared_behind(context_, plan_.group, *plan_.mark);
    for (const auto& [id, member] : behind)
        ids.insert(id);
    crew_.run_to_end([&](std::size_t i, std::stop_token stop) {
        auto table = tables.find(crew_.name(i));
        if (table == tables.end()) return;
        members_[i]->promote(stop);
        here.at(table->first) =
            read_decisions(members_[i]->target(), table->second, ids, std::move(stop));
    });
    if (options_.joint && !here.empty()) options_.joint->publish_rows(here);
    for (auto& [member, held] : here)
        rows[member] = std::move(held);
    if (!elsewhere.empty()) {
        auto names = fmt::format("{}", fmt::join(elsewhere, ", "));
        if (options_.joint)
            throw Error{Code::member_not_ready,
                        "the decision table of " + names + " is not known yet; nothing was settled",
                        {.hint = "say --open on the host of that member first, then here again"}};
        warnings_.push_back("the decision table of " + names +
                            " is not here: what only it can decide is kept prepared");
        return;
    }
    judgement_ = model::judge_by_tables(mark, rows);
    for (const auto& [id, member] : behind)
        for (const auto& [coordinator, held] : rows)
            if (held.contains(id))
                judgement_.contradictions.push_back(
                    fmt::format("{} is committed at {} by its decision table, and was prepared at "
                                "{} behind the mark",
                                id, coordinator, member));
    if (!judgement_.contradictions.empty()) refuse(judgement_);
    tell_doubts(judgement_);
    check_words(options_, judgement_.verdicts);
    for (auto& member : members_)
        member->use_verdicts(judgement_.verdicts);
}

void GroupRestore::refuse(const model::TableJudgement& judgement) const
{
    auto view = repo::load_view(context_.storage(), plan_.group, {.proofs = false});
    std::optional<model::Number> before;
    auto time = plan_.mark->value.created;
    for (const auto& mark : view.marks) { // newest first
        if (mark.number() == plan_.mark->number() || mark.value.created >= time) continue;
        // It would be refused for the same reason.
        if (std::ranges::any_of(mark.value.decided, [&](const model::LateCommit& commit) {
                return !commit.inherited && judgement.undecided.contains(commit.global_id);
            }))
            continue;
        if (!repo::plan_restore(view, mark.number()).plan) continue;
        before = mark.number();
        break;
    }
    auto shown = judgement.contradictions;
    if (shown.size() > 3) shown.resize(3);
    throw Error{
        Code::not_restorable,
        fmt::format(
            "the mark is not consistent, and nothing was opened: {}{}", fmt::join(shown, "; "),
            shown.size() < judgement.contradictions.size()
                ? fmt::format(" and {} more", judgement.contradictions.size() - shown.size())
                : std::string()),
        {.hint = before ? fmt::format("the nearest earlier mark is {}: restore --to {}, in another "
                                      "folder or after --discard",
                                      repo::mark_id(*before), repo::mark_id(*before))
                        : std::string("there is no earlier mark that can be restored; a later one "
                                      "may be consistent")}};
}

void GroupRestore::tell_doubts(const model::TableJudgement& judgement)
{
    constexpr std::size_t kMostLines = 20;
    const auto& mark = plan_.mark->value;
    for (std::size_t i = 0; i < std::min(judgement.doubts.size(), kMostLines); ++i)
        warnings_.push_back(judgement.doubts[i]);
    if (judgement.doubts.size() > kMostLines)
        warnings_.push_back(fmt::format("{} more are committed without a decision row that may "
                                        "have gone with a failover; the mark lists all (decided)",
                                        judgement.doubts.size() - kMostLines));
    if (mark.decided_left_out > 0)
        warnings_.push_back(
            fmt::format("the mark lists {} commits around failovers; {} more were left out, and no "
                        "decision table was asked for these: some may be undecided",
                        std::ranges::count_if(mark.decided, &model::LateCommit::carried),
                        mark.decided_left_out));
}

void GroupRestore::hand_over()
{
    if (options_.keep_report) options_.keep_report(report());
    crew_.run_to_end(
        [&](std::size_t i, std::stop_token stop) { members_[i]->prepare_hand_over(stop); });
    try {
        crew_.run_to_end([&](std::size_t i, std::stop_token) { members_[i]->hand_over(); });
        crew_.run_to_end([&](std::size_t i, std::stop_token) { members_[i]->finish(); });
    } catch (Error& error) {
        error.add_context(take_back());
        throw;
    } catch (const std::exception& error) { // a thread that could not be started
        Error why{Code::failed, error.what()};
        why.add_context(take_back());
        throw Error(std::move(why));
    }
}

std::string GroupRestore::take_back()
{
    std::string open;
    // One by one: what went wrong may be that there are no threads.
    for (std::size_t i = 0; i < members_.size(); ++i) {
        try {
            members_[i]->take_back();
        } catch (const std::exception& error) {
            open += fmt::format("{}member {}: {}", open.empty() ? "" : "; ", crew_.name(i),
                                error.what());
        }
    }
    if (open.empty()) return "no member was left open";
    return "not all members could be closed again (" + open + ")";
}

RestoreReport GroupRestore::report() const
{
    RestoreReport report{.group = plan_.group,
                         .mark = plan_.mark,
                         .started = started_,
                         .ended = context_.clock.now(),
                         .members = {},
                         .lost = {},
                         .warnings = warnings_,
                         .notes = notes_};
    for (const auto& member : members_) {
        report.members.push_back(member->report());
        report.unsettled = report.unsettled || member->unsettled();
        for (const auto& sentence : member->went_round())
            report.warnings.push_back(sentence);
    }
    if (auto warning = unclaimed_timelines(members_); !warning.empty())
        report.warnings.push_back(std::move(warning));
    return report;
}

} // namespace tidemark::job
