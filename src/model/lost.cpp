#include "model/lost.h"

#include <fmt/format.h>

namespace tidemark::model {

std::string lost_sentence(const TransactionAt& lost)
{
    std::string at, gone;
    for (const auto& part : lost.parts) {
        auto& names = part.state == StateAt::lost ? gone : at;
        names += (names.empty() ? "" : ", ") + part.branch.member;
    }
    return fmt::format("lost in a failover: {} is committed at {}, but its part at {} stood on log "
                       "that was abandoned",
                       lost.global_id, at.empty() ? "another member" : at, gone);
}

std::vector<std::string> lost_up_to(std::span<const Mark* const> marks, const Mark& mark)
{
    std::vector<std::string> out;
    for (const Mark* one : marks) {
        bool later = mark.is_moment() ? one->created > mark.created : one->number > mark.number;
        if (one != &mark && (later || one->is_moment())) continue;
        for (const TransactionAt& lost : one->at.lost)
            out.push_back(lost_sentence(lost));
    }
    return out;
}

} // namespace tidemark::model
