#include "job/in_doubt.h"

#include "base/error.h"

#include <algorithm>
#include <fmt/format.h>
#include <optional>
#include <set>

namespace tidemark::job {

using base::Code;
using base::Error;

InDoubt::InDoubt(const model::Mark* mark, const std::string& member, const RestoreOptions& options,
                 const TableVerdicts* tables)
    : mark_(mark), member_(member), options_(options), tables_(tables)
{
}

void InDoubt::compare(const std::vector<engine::PreparedBranch>& prepared) const
{
    if (mark_ == nullptr) return;
    std::set<std::string> expected;
    for (const auto& doubt : mark_->at.in_doubt) {
        if (doubt.branch.member == member_) expected.insert(doubt.branch.gid);
    }
    std::string missing, surplus;
    for (const auto& branch : prepared) {
        if (expected.erase(branch.gid) == 0) surplus += (surplus.empty() ? "" : ", ") + branch.gid;
    }
    for (const auto& gid : expected)
        missing += (missing.empty() ? "" : ", ") + gid;
    if (missing.empty() && surplus.empty()) return;
    throw Error{Code::not_restorable,
                fmt::format("what is prepared after recovery is not what the mark says:{}{}",
                            missing.empty() ? "" : " missing " + missing,
                            surplus.empty() ? "" : " unexpected " + surplus),
                {.hint = "the members stay closed on their private sockets; tidemark audit shows "
                         "the mark's proof; "
                         "restore to an earlier mark with --discard first"}};
}

Decision InDoubt::decide_one(const engine::PreparedBranch& branch) const
{
    std::optional<bool> commit;
    Decision decision{.xid = branch.xid,
                      .gid = branch.gid,
                      .global_id = branch.gid,
                      .database = branch.database,
                      .action = std::string(kKept),
                      .evidence = "the mark says nothing about it"};
    const model::InDoubt* found = nullptr;
    if (mark_ != nullptr) {
        for (const auto& doubt : mark_->at.in_doubt) {
            if (doubt.branch.member == member_ && doubt.branch.gid == branch.gid) found = &doubt;
        }
    }
    if (found != nullptr) {
        decision.global_id = found->branch.global_id;
        const auto* verdict = &found->verdict;
        if (tables_ != nullptr) {
            auto table = tables_->find({member_, branch.gid});
            if (table != tables_->end()) verdict = &table->second;
        }
        decision.evidence = verdict->evidence;
        decision.differs_from_production = found->differs_from_production;
        if (verdict->decision == model::Decision::commit) commit = true;
        if (verdict->decision == model::Decision::rollback) commit = false;
    }
    if (!commit) {
        auto word = options_.decisions.find({member_, branch.gid});
        if (word != options_.decisions.end()) {
            commit = word->second;
            decision.evidence += "; decided by the operator";
        }
    }
    if (!options_.settle) commit.reset();
    if (commit) decision.action = *commit ? "commit" : "rollback";
    return decision;
}

std::vector<Decision> InDoubt::decide(const std::vector<engine::PreparedBranch>& prepared) const
{
    compare(prepared);
    std::vector<Decision> decisions;
    for (const auto& branch : prepared)
        decisions.push_back(decide_one(branch));
    return decisions;
}

void InDoubt::decide_again(const std::vector<engine::PreparedBranch>& prepared,
                           std::vector<Decision>& decisions) const
{
    for (auto& decision : decisions) {
        auto branch = std::find_if(prepared.begin(), prepared.end(), [&](const auto& one) {
            return one.xid == decision.xid && one.gid == decision.gid;
        });
        if (branch != prepared.end()) {
            decision = decide_one(*branch);
        } else if (decision.action == kKept) {
            decision.action = "by hand";
            decision.evidence += "; finished by somebody else";
        }
    }
}

} // namespace tidemark::job
