#pragma once

#include "model/cut.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

/// Little groups in which every record has ten bytes, and what one asks of their cuts.
namespace tidemark::model {

inline constexpr Offset kRecord = 10;

inline base::Time at_ms(std::int64_t milliseconds)
{
    return base::Time{std::chrono::milliseconds{1'000'000 + milliseconds}};
}

inline TransactionEvent event(EventKind kind, Offset start, std::uint32_t xid, std::string gid = {},
                              std::int64_t milliseconds = -1)
{
    return {.kind = kind,
            .epoch = 1,
            .start = start,
            .end = start + kRecord,
            .xid = xid,
            .gid = std::move(gid),
            .at = milliseconds < 0 ? at_ms(static_cast<std::int64_t>(start)) : at_ms(milliseconds)};
}

inline TransactionEvent prepared(Offset start, std::uint32_t xid, std::string gid,
                                 std::int64_t ms = -1)
{
    return event(EventKind::prepare, start, xid, std::move(gid), ms);
}

inline TransactionEvent committed(Offset start, std::uint32_t xid, std::int64_t ms = -1)
{
    return event(EventKind::commit, start, xid, {}, ms);
}

inline TransactionEvent rolled_back(Offset start, std::uint32_t xid, std::int64_t ms = -1)
{
    return event(EventKind::rollback, start, xid, {}, ms);
}

/// b 400, r 500, e 600; the log is kept from 100, which both sides knew at 110 (the anchor).
inline CutMember member(std::string name, std::vector<TransactionEvent> events)
{
    CutMember member{.b = 400, .r = 500, .r_end = 510, .e = 600};
    member.log.name = std::move(name);
    member.log.complete_since = 100;
    member.log.events = std::move(events);
    return member;
}

inline CutInput group(std::vector<CutMember> members)
{
    CutInput input{.members = std::move(members)};
    Sweep anchor;
    for (const CutMember& one : input.members)
        anchor[one.log.name] = 110;
    input.anchor = {anchor};
    return input;
}

inline std::vector<Offset> cuts(const CutResult& result)
{
    std::vector<Offset> offsets;
    for (const MemberCut& one : result.members)
        offsets.push_back(one.cut.offset);
    return offsets;
}

inline Decision decision(const CutResult& result, const std::string& member_name,
                         const std::string& gid)
{
    for (const InDoubt& entry : result.at.in_doubt) {
        if (entry.branch.member == member_name && entry.branch.gid == gid) {
            return entry.verdict.decision;
        }
    }
    ADD_FAILURE() << gid << " is not in doubt at " << member_name;
    return Decision::unknown;
}

inline Reason reason(const CutResult& result, std::size_t index = 0)
{
    return result.at.in_doubt.at(index).verdict.reason;
}

/// The next mark of the same members, everything 1000 further.
inline CutInput next_group(const CutResult& last, std::vector<CutMember> members)
{
    CutInput input{.members = std::move(members), .previous = &last.table};
    for (CutMember& one : input.members) {
        one.b += 1000;
        one.r += 1000;
        one.r_end += 1000;
        one.e += 1000;
    }
    return input;
}

} // namespace tidemark::model
