#include "job/operator_words.h"

#include "base/error.h"
#include "model/gid_text.h"

#include <fmt/format.h>

namespace tidemark::job {

using base::Code;
using base::Error;

namespace {

using BranchName = std::pair<std::string, std::string>; // member, gid

std::string show(const RestoreOptions& options, const BranchName& name, bool commit)
{
    auto line = options.decision_lines.find(name);
    return fmt::format("{}\"{} {} {}\"",
                       line == options.decision_lines.end() ? "" : line->second + ": ", name.first,
                       model::gid_word(name.second), commit ? "commit" : "rollback");
}

std::optional<bool> as_commit(model::Decision decision)
{
    if (decision == model::Decision::commit) return true;
    if (decision == model::Decision::rollback) return false;
    return std::nullopt;
}

/// Told first about a transaction.
struct Told {
    bool commit = false;
    std::string by = {};
};

class Words {
public:
    Words(const model::Mark& mark, const RestoreOptions& options) : options_(options)
    {
        for (const auto& doubt : mark.at.in_doubt)
            known_.emplace(BranchName{doubt.branch.member, doubt.branch.gid}, &doubt);
    }

    void hear(const std::string& member, const Decision& decision)
    {
        if (decision.action != "commit" && decision.action != "rollback") return;
        BranchName name{member, decision.gid};
        auto doubt = known_.find(name);
        if (doubt == known_.end()) return;
        bool commit = decision.action == "commit";
        told_.try_emplace(transaction(*doubt->second),
                          Told{commit, fmt::format("{} {} was {} here before", member,
                                                   model::gid_word(decision.gid),
                                                   commit ? "committed" : "rolled back")});
    }

    /// Why this word cannot stand; empty when it can.
    std::string fault(const BranchName& name, bool commit)
    {
        auto doubt = known_.find(name);
        if (doubt == known_.end()) return "nothing of that name is in doubt at the mark";
        const auto& verdict = doubt->second->verdict;
        if (auto proven = as_commit(verdict.decision); proven && *proven != commit)
            return fmt::format("the evidence says {}: {}", *proven ? "commit" : "rollback",
                               verdict.evidence);
        auto [told, first] = told_.try_emplace(transaction(*doubt->second),
                                               Told{commit, show(options_, name, commit)});
        if (first || told->second.commit == commit) return {};
        return fmt::format("but {}, and both are parts of transaction {}", told->second.by,
                           model::gid_word(doubt->second->branch.global_id));
    }

    /// What may be named.
    std::string undecided() const
    {
        std::string out;
        for (const auto& [name, doubt] : known_) {
            if (as_commit(doubt->verdict.decision)) continue;
            out += fmt::format("{}{} {}", out.empty() ? "" : ", ", name.first,
                               model::gid_word(name.second));
        }
        return out.empty() ? std::string("nothing") : out;
    }

private:
    /// A gid that its member's pattern does not match belongs to nobody else's.
    static std::string transaction(const model::InDoubt& doubt)
    {
        const auto& branch = doubt.branch;
        return branch.matched ? "t " + branch.global_id
                              : fmt::format("b {} {}", branch.member, branch.gid);
    }

    const RestoreOptions& options_;
    std::map<BranchName, const model::InDoubt*> known_;
    std::map<std::string, Told> told_;
};

void add_line(std::string& text, const std::string& line)
{
    text += (text.empty() ? "" : "\n") + line;
}

} // namespace

void check_words(const model::Mark& mark, const RestoreOptions& options,
                 const EarlierDecisions& earlier)
{
    if (options.decisions.empty()) return;
    Words words(mark, options);
    for (const auto& [member, decisions] : earlier)
        for (const auto& decision : decisions)
            words.hear(member, decision);
    std::string faults;
    for (const auto& [name, commit] : options.decisions)
        if (auto fault = words.fault(name, commit); !fault.empty())
            add_line(faults, show(options, name, commit) + ": " + fault);
    if (faults.empty()) return;
    throw Error{
        Code::usage,
        "the decisions cannot be carried out:\n" + faults,
        {.hint = "correct the file and run the same command again; undecided at the mark: " +
                 words.undecided()}};
}

void check_words(const RestoreOptions& options, const TableVerdicts& tables)
{
    std::string faults;
    for (const auto& [name, commit] : options.decisions) {
        auto verdict = tables.find(name);
        if (verdict == tables.end()) continue;
        auto proven = as_commit(verdict->second.decision);
        if (proven && *proven != commit)
            add_line(faults,
                     fmt::format("{}: the decision table says {}: {}", show(options, name, commit),
                                 *proven ? "commit" : "rollback", verdict->second.evidence));
    }
    if (faults.empty()) return;
    throw Error{Code::usage,
                "the decisions cannot be carried out, and nothing was settled:\n" + faults,
                {.hint = "take these lines out of the file and run the same command again"}};
}

} // namespace tidemark::job
