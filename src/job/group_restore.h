#pragma once

#include "job/crew.h"
#include "job/restore_member.h"

#include <memory>
#include <string>
#include <vector>

namespace tidemark::job {

/// One for each member of the plan, which know whether what lies in the target is to be taken up.
std::vector<std::unique_ptr<MemberRestore>>
make_members(const Context& context, const repo::RestorePlan& plan, const RestoreOptions& options);

/// Error{usage} when the operator's decisions cannot be carried out, see operator_words.h.
void check_decisions(const repo::RestorePlan& plan, const RestoreOptions& options,
                     const std::vector<std::unique_ptr<MemberRestore>>& members);

/// Error{target_not_empty} when all of them have been handed over and there is nothing to take up.
void refuse_finished(const std::vector<std::unique_ptr<MemberRestore>>& members);

/// The steps of a group's restore (docs/architecture.md), called in this order by restore_group()
/// and, up to open(), by a drill. The arguments must outlive it. Its end stops servers that it
/// started and that were not handed over.
class GroupRestore {
public:
    GroupRestore(const Context& context, const repo::RestorePlan& plan,
                 const RestoreOptions& options);

    /// Refuses what cannot go well; writes nothing.
    void preflight();
    void begin();
    /// Phase 1: every member comes to exactly its position and stops there. One that fails does not
    /// undo the others.
    void recover();
    /// Phase 2, when all stand there: open on private sockets, settle. Members with a decision
    /// table come first; when it contradicts what is committed elsewhere nobody else is started.
    /// Error{not_restorable}.
    void open();
    /// Opens all members or none: each is configured (and, as production, tried) before the first
    /// is started, and when one cannot be, those that were are closed again.
    void hand_over();
    /// What was done so far; `lost` is not filled, `ended` is now.
    RestoreReport report() const;

    const Crew& crew() const { return crew_; }
    MemberRestore& member(std::size_t index) { return *members_.at(index); }

private:
    /// Closes all again; says whether that went well.
    std::string take_back();
    void consult_tables();
    void ask_decision_tables();
    [[noreturn]] void refuse(const model::TableJudgement& judgement) const;
    void tell_doubts(const model::TableJudgement& judgement);

    const Context& context_;
    const repo::RestorePlan& plan_;
    const RestoreOptions& options_;
    Crew crew_;
    std::vector<std::unique_ptr<MemberRestore>> members_;
    base::Time started_;
    std::vector<std::string> warnings_, notes_;
    model::TableJudgement judgement_;
};

} // namespace tidemark::job
