#include "model/cut_oracle_test.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace tidemark::model {

bool consistent(const SimulatedGroup& group, const Positions& cut)
{
    for (const auto& transaction : group.transactions()) {
        bool committed = false;
        bool complete = true;
        for (std::size_t b : transaction.branches) {
            const SimulatedGroup::TrueBranch& branch = group.branches()[b];
            committed = committed || branch.committed_in(cut[branch.member]);
            complete = complete && (!branch.prepare_start || branch.in(cut[branch.member]));
        }
        if (committed && !complete) return false;
    }
    return true;
}

Positions greatest_by_retreating(const SimulatedGroup& group, Positions cut)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (const auto& transaction : group.transactions()) {
            for (std::size_t p : transaction.branches) {
                const SimulatedGroup::TrueBranch& late = group.branches()[p];
                if (!late.prepare_start || late.in(cut[late.member])) continue;
                for (std::size_t c : transaction.branches) {
                    const SimulatedGroup::TrueBranch& early = group.branches()[c];
                    if (!early.committed_in(cut[early.member])) continue;
                    cut[early.member] = early.finish_start;
                    changed = true;
                }
            }
        }
    }
    return cut;
}

std::optional<Positions> greatest_by_search(const SimulatedGroup& group, const Positions& top)
{
    std::vector<Positions> choices;
    double size = 1;
    for (std::size_t m = 0; m < top.size(); ++m) {
        choices.push_back(group.record_starts(m, top[m]));
        size *= static_cast<double>(choices.back().size());
    }
    if (size > 3000) return std::nullopt;
    Positions join(top.size(), 0);
    std::vector<std::size_t> at(top.size(), 0);
    for (;;) {
        Positions cut;
        for (std::size_t m = 0; m < top.size(); ++m)
            cut.push_back(choices[m][at[m]]);
        if (consistent(group, cut)) {
            for (std::size_t m = 0; m < top.size(); ++m)
                join[m] = std::max(join[m], cut[m]);
        }
        std::size_t m = 0;
        while (m < top.size() && ++at[m] == choices[m].size())
            at[m++] = 0;
        if (m == top.size()) break;
    }
    EXPECT_TRUE(consistent(group, join)) << "consistent vectors have no greatest";
    return join;
}

std::set<std::string> torn_in(const SimulatedGroup& group, const Positions& at)
{
    std::set<std::string> torn;
    for (const auto& transaction : group.transactions()) {
        bool committed = false;
        bool complete = true;
        for (std::size_t p : transaction.branches) {
            const SimulatedGroup::TrueBranch& part = group.branches()[p];
            committed = committed || part.committed_in(at[part.member]);
            complete = complete && (part.lost || part.in(at[part.member]));
        }
        if (committed && !complete) torn.insert(transaction.id);
    }
    return torn;
}

} // namespace tidemark::model
