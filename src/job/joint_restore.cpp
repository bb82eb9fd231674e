#include "job/joint_restore.h"

#include "base/error.h"
#include "base/random.h"
#include "job/group_restore.h"
#include "job/joint_copies.h"
#include "job/reading.h"
#include "repo/restore_book.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace tidemark::job {

using base::Code;
using base::Error;
using model::JointReport;
using model::JointRestore;
using model::JointStage;
namespace fs = std::filesystem;

namespace {

std::string new_ticket()
{
    base::SystemRandom random;
    return fmt::format("{:016x}{:016x}", random.next(), random.next());
}

class JointWork {
public:
    JointWork(const Context& context, const repo::RestorePlan& plan, RestoreOptions& options,
              const JointOptions& joint)
        : context_(context), plan_(plan), options_(options), joint_(joint),
          book_(context.storage(), plan.group)
    {
        options_.joint.emplace();
    }

    JointOutcome to_mark()
    {
        model::Enlistment enlistment{
            .mark = plan_.mark->number(), .newest = joint_.newest, .instead = joint_.instead};
        for (const auto& member : plan_.mark->value.members)
            enlistment.all_members.push_back(member.name);
        for (const auto& [name, member] : plan_.members) {
            auto folder = member_folder(options_, name);
            auto report = new_report(folder);
            if (auto state = joint_state(folder); state && state->mark == enlistment.mark) {
                report.ticket = state->ticket;
                enlistment.known.emplace(name, state->ticket);
            }
            part().tickets[name] = report.ticket;
            enlistment.reports.emplace(name, std::move(report));
        }
        GroupRestore group(context_, plan_, options_);
        group.preflight();
        if (options_.force) withdraw_replaced(context_, plan_, options_);
        part().number = book_.enlist(enlistment).number;
        std::optional<Reading> reading;
        try {
            reading.emplace(context_, plan_);
            group.begin();
            group.recover();
        } catch (const Error& error) {
            say_failed(error, group);
            throw;
        }
        auto report = group.report();
        return {.report = report, .restore = report_stage(report, JointStage::at_mark)};
    }

    JointOutcome open(const JointRestore& restore)
    {
        part().number = restore.number;
        part().opening = true;
        for (const auto& [name, member] : plan_.members)
            part().tickets[name] = restore.reports.at(name).ticket;
        check_decisions(context_, plan_, options_);
        take_decisions();
        part().rows = restore.rows;
        part().publish_rows = [&](const model::DecisionRows& rows) {
            book_.change([&](model::JointRestores& book) {
                auto* one = book.find(part().number);
                if (one == nullptr) return;
                for (const auto& [member, held] : rows)
                    one->rows[member] = held;
            });
        };
        GroupRestore group(context_, plan_, options_);
        group.preflight();
        Reading reading(context_, plan_);
        group.begin();
        group.recover();
        group.open();
        report_stage(group.report(), JointStage::at_mark); // with what was kept prepared
        group.hand_over();
        auto report = group.report();
        add_lost_work(context_, plan_, report);
        report.ended = context_.clock.now();
        auto after = report_stage(report, JointStage::opened);
        return {.report = std::move(report), .restore = after, .is_last = after.all_opened()};
    }

private:
    JointPart& part() { return *options_.joint; }

    JointReport new_report(const fs::path& folder) const
    {
        return {.stage = JointStage::working,
                .host = context_.host,
                .folder = folder.string(),
                .ticket = new_ticket(),
                .program = joint_.program,
                .at = context_.clock.now()};
    }

    /// Enters what our copies have come to; a copy that somebody has replaced meanwhile is none.
    template <typename Set> JointRestore update(Set set)
    {
        JointRestore out;
        book_.change([&](model::JointRestores& book) {
            auto* restore = book.find(part().number);
            if (restore == nullptr || restore->given_up)
                throw Error{Code::usage,
                            model::restore_id(part().number) + " was given up meanwhile",
                            {.hint = "`tidemark restore --discard` removes what lies here"}};
            for (const auto& [name, ticket] : part().tickets) {
                auto report = restore->reports.find(name);
                if (report == restore->reports.end() || report->second.ticket != ticket)
                    throw Error{Code::usage,
                                fmt::format("another copy of {} stands in {} meanwhile", name,
                                            model::restore_id(part().number)),
                                {.hint = "`tidemark restore --discard` removes the one here"}};
                report->second.host = context_.host;
                report->second.folder = member_folder(options_, name).string();
                report->second.program = joint_.program;
                report->second.at = context_.clock.now();
                set(name, report->second);
            }
            if (restore->is_open() && restore->all_opened()) restore->ended = context_.clock.now();
            out = *restore;
        });
        return out;
    }

    JointRestore report_stage(const RestoreReport& report, JointStage stage)
    {
        return update([&](const std::string& name, JointReport& line) {
            auto member = std::find_if(report.members.begin(), report.members.end(),
                                       [&](const auto& one) { return one.name == name; });
            if (member == report.members.end()) return;
            line.stage = std::max(line.stage, stage);
            line.text = member->evidence;
            line.backup = member->backup;
            line.bytes = member->bytes;
            line.log_bytes = member->log_bytes;
            line.target = member->target;
            line.reached = member->reached;
            line.damaged = member->damaged;
            auto kept = std::count_if(member->decisions.begin(), member->decisions.end(),
                                      [](const auto& one) { return one.action == kKept; });
            line.kept = static_cast<std::uint64_t>(kept);
        });
    }

    /// So that whoever waits elsewhere reads why. What came to the mark all the same says so.
    void say_failed(const Error& error, GroupRestore& group)
    {
        try {
            update([&](const std::string& name, JointReport& line) {
                if (line.stage == JointStage::opened) return;
                auto state = joint_state(member_folder(options_, name));
                if (state && state->phase >= RestorePhase::at_mark) return;
                line.stage = JointStage::failed;
                line.text = error.what();
            });
            auto report = group.report();
            std::erase_if(report.members, [&](const auto& member) {
                auto state = joint_state(member.folder);
                return !state || state->phase < RestorePhase::at_mark;
            });
            if (!report.members.empty()) report_stage(report, JointStage::at_mark);
        } catch (const Error& second) {
            context_.progress.note(std::string("not reported: ") + second.what());
        }
    }

    /// An operator's word counts on every host, and is the same on every host.
    void take_decisions()
    {
        std::vector<model::JointDecision> said;
        for (const auto& [key, commit] : options_.decisions) {
            for (const auto& doubt : plan_.mark->value.at.in_doubt) {
                if (doubt.branch.member != key.first || doubt.branch.gid != key.second) continue;
                said.push_back({.member = key.first,
                                .gid = key.second,
                                .global_id = doubt.branch.global_id,
                                .commit = commit,
                                .by = context_.host});
            }
        }
        JointRestore restore;
        auto enter = [&](model::JointRestores& book) {
            auto* one = book.find(part().number);
            if (one == nullptr) return;
            model::add_decisions(*one, said);
            restore = *one;
        };
        if (said.empty()) {
            auto book = book_.load();
            enter(book);
        } else {
            book_.change(enter);
        }
        for (const auto& decision : restore.decisions)
            options_.decisions.try_emplace({decision.member, decision.gid}, decision.commit);
    }

    const Context& context_;
    const repo::RestorePlan& plan_;
    RestoreOptions& options_;
    const JointOptions& joint_;
    repo::RestoreBook book_;
};

} // namespace

JointOutcome restore_to_mark(const Context& context, const repo::RestorePlan& plan,
                             RestoreOptions options, const JointOptions& joint)
{
    return JointWork(context, plan, options, joint).to_mark();
}

JointOutcome open_members(const Context& context, const repo::RestorePlan& plan,
                          RestoreOptions options, const JointOptions& joint)
{
    auto here = joint_members(options, {});
    std::erase_if(here, [&](const auto& one) { return !plan.members.contains(one.first); });
    auto restore = require_all_there(context, here);
    return JointWork(context, plan, options, joint).open(restore);
}

RestoreReport joint_report(const JointRestore& restore, const repo::StoredMark& mark,
                           const RestoreReport& last)
{
    RestoreReport out = last;
    out.mark = mark;
    out.started = restore.begun;
    for (const auto& [name, report] : restore.reports) {
        bool known = std::any_of(last.members.begin(), last.members.end(),
                                 [&, n = name](const auto& one) { return one.name == n; });
        out.unsettled = out.unsettled || report.kept > 0;
        if (known) continue;
        auto& member = out.members.emplace_back();
        member.name = name;
        member.folder = report.folder;
        member.backup = report.backup;
        member.bytes = report.bytes;
        member.log_bytes = report.log_bytes;
        member.target = report.target;
        member.reached = report.reached;
        member.evidence = report.text + " (on " + report.host + ")";
    }
    std::sort(out.members.begin(), out.members.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    return out;
}

} // namespace tidemark::job
