#pragma once

#include "engine/restore_target.h"
#include "job/restore.h"
#include "model/mark.h"

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What becomes of what a restored member has prepared: the mark's verdict, a decision table's, the
/// operator's word, in this order.
namespace tidemark::job {

/// Decision::action of a branch that stays prepared.
inline constexpr std::string_view kKept = "kept";

/// By member and gid.
using TableVerdicts = std::map<std::pair<std::string, std::string>, model::Verdict>;

class InDoubt {
public:
    /// All of them must outlive it. `mark` is null for positions that no mark names, `tables` when
    /// none was asked.
    InDoubt(const model::Mark* mark, const std::string& member, const RestoreOptions& options,
            const TableVerdicts* tables);

    /// Right after recovery. Error{not_restorable} when what is prepared is not what the mark says
    /// is in doubt: no more, no less.
    std::vector<Decision> decide(const std::vector<engine::PreparedBranch>& prepared) const;
    /// Later: only what the mark left in doubt. Once members are open, their users prepare more,
    /// perhaps under gids that they used before.
    void decide_again(const std::vector<engine::PreparedBranch>& prepared,
                      std::vector<Decision>& decisions) const;

private:
    void compare(const std::vector<engine::PreparedBranch>& prepared) const;
    Decision decide_one(const engine::PreparedBranch& branch) const;

    const model::Mark* mark_;
    const std::string& member_;
    const RestoreOptions& options_;
    const TableVerdicts* tables_;
};

} // namespace tidemark::job
