#include "model/lost.h"

#include "model/instances.h"

#include <algorithm>
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

std::string damage_sentence(const TransactionAt& damaged)
{
    std::string kept, gone;
    for (const auto& part : damaged.parts) {
        if (part.state != StateAt::committed && part.state != StateAt::rolled_back) continue;
        auto& names = part.state == StateAt::committed ? kept : gone;
        names += (names.empty() ? "" : ", ") + part.branch.member;
    }
    return fmt::format(
        "heuristic damage in production: {} is committed at {} and rolled back at {}",
        damaged.global_id, kept.empty() ? "one member" : kept, gone.empty() ? "another" : gone);
}

namespace {

/// Does a restore to `mark` hold what one to `earlier` holds? Not when the group was restored to
/// before it, nor when other clusters have taken its place.
bool holds(const Mark& mark, const Mark& earlier)
{
    bool shared = false;
    for (const MarkMember& member : mark.members) {
        auto before = std::ranges::find(earlier.members, member.name, &MarkMember::name);
        if (before == earlier.members.end()) continue;
        if (!on_history(member.history, before->cut.epoch, before->cut.offset)) return false;
        shared = true;
    }
    return shared;
}

/// In this mark, and in each earlier one that it holds.
template <typename Tell>
void tell_up_to(std::span<const Mark* const> marks, const Mark& mark, const Tell& tell)
{
    for (const Mark* one : marks) {
        bool later = mark.is_moment() ? one->created > mark.created : one->number > mark.number;
        if (one != &mark && (later || one->is_moment() || !holds(mark, *one))) continue;
        tell(*one);
    }
}

void add_once(std::vector<std::string>& out, std::vector<std::string> sentences)
{
    for (auto& sentence : sentences)
        if (std::find(out.begin(), out.end(), sentence) == out.end())
            out.push_back(std::move(sentence));
}

} // namespace

std::vector<std::string> damage_found_by(const Mark& mark)
{
    std::vector<std::string> out;
    for (const TransactionAt& damaged : mark.at.damaged)
        add_once(out, {damage_sentence(damaged)});
    return out;
}

std::vector<std::string> damage_found_before(std::span<const Mark* const> marks, const Mark& mark)
{
    std::vector<std::string> out;
    tell_up_to(marks, mark, [&](const Mark& one) {
        if (&one != &mark) add_once(out, damage_found_by(one));
    });
    const auto own = damage_found_by(mark);
    std::erase_if(out, [&](const std::string& sentence) {
        return std::find(own.begin(), own.end(), sentence) != own.end();
    });
    return out;
}

std::vector<std::string> damage_found_since(std::span<const Mark* const> marks, base::Time since)
{
    std::vector<std::string> out;
    for (const Mark* mark : marks)
        if (!mark->is_moment() && mark->created >= since) add_once(out, damage_found_by(*mark));
    return out;
}

std::vector<std::string> lost_up_to(std::span<const Mark* const> marks, const Mark& mark)
{
    std::vector<std::string> out;
    tell_up_to(marks, mark, [&](const Mark& one) {
        for (const TransactionAt& lost : one.at.lost)
            out.push_back(lost_sentence(lost));
    });
    return out;
}

std::vector<std::string> half_there_at(std::span<const Mark* const> marks, const Mark& mark)
{
    std::vector<std::string> out;
    add_once(out, lost_up_to(marks, mark));
    add_once(out, damage_found_by(mark));
    add_once(out, damage_found_before(marks, mark));
    return out;
}

} // namespace tidemark::model
