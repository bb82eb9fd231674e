#include "model/joint_restore.h"

#include "base/error.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace tidemark::model {

using base::Code;
using base::Error;

namespace {

std::string describe(const JointRestore& restore)
{
    auto missing = restore.missing();
    return fmt::format("{} to m-{}, begun on {} at {}, {}", restore_id(restore.number),
                       restore.mark, restore.host, base::format_time_human(restore.begun),
                       missing.empty() ? std::string("is not opened everywhere yet")
                                       : fmt::format("waits for {}", fmt::join(missing, ", ")));
}

JointRestore* open_one(JointRestores& book, const Enlistment& wanted)
{
    const JointRestore* other = nullptr;
    for (auto& restore : book.restores) {
        if (!restore.is_open()) continue;
        if (restore.mark == wanted.mark) return &restore;
        other = &restore;
    }
    if (other == nullptr || !wanted.newest) return nullptr;
    throw Error{Code::usage,
                fmt::format("the newest mark is m-{}, but {}", wanted.mark, describe(*other)),
                {.hint = fmt::format("say --to m-{} to join it, --to m-{} to begin another, or end "
                                     "it first with --forget {}",
                                     other->mark, wanted.mark, restore_id(other->number))}};
}

/// Is it this copy, or one that stood in the same place and is gone?
bool replaces(const JointReport& before, const JointReport& now, const Enlistment& wanted,
              const std::string& member)
{
    auto known = wanted.known.find(member);
    if (known != wanted.known.end() && known->second == before.ticket) return true;
    return wanted.instead || (before.host == now.host && before.folder == now.folder);
}

} // namespace

std::string_view stage_name(JointStage stage)
{
    switch (stage) {
    case JointStage::working:
        return "working";
    case JointStage::failed:
        return "failed";
    case JointStage::at_mark:
        return "at_mark";
    case JointStage::opened:
        return "opened";
    }
    return "?";
}

std::string restore_id(Number number)
{
    return fmt::format("restore-{}", number);
}

std::vector<std::string> JointRestore::missing() const
{
    std::vector<std::string> out;
    for (const auto& member : members) {
        auto report = reports.find(member);
        if (report == reports.end() || !report->second.ready()) out.push_back(member);
    }
    return out;
}

bool JointRestore::all_opened() const
{
    return std::all_of(members.begin(), members.end(), [&](const std::string& member) {
        auto report = reports.find(member);
        return report != reports.end() && report->second.stage == JointStage::opened;
    });
}

JointRestore* JointRestores::find(Number number)
{
    auto found = std::find_if(restores.begin(), restores.end(), [&](const JointRestore& restore) {
        return restore.number == number;
    });
    return found == restores.end() ? nullptr : &*found;
}

void trim(JointRestores& book)
{
    auto ended = std::count_if(book.restores.begin(), book.restores.end(),
                               [](const JointRestore& one) { return !one.is_open(); });
    std::erase_if(book.restores, [&](const JointRestore& one) {
        return !one.is_open() && ended-- > static_cast<std::ptrdiff_t>(kEndedRestores);
    });
}

Number enlist(JointRestores& book, const Enlistment& wanted)
{
    JointRestore* restore = open_one(book, wanted);
    if (restore == nullptr) {
        const auto& first = wanted.reports.begin()->second;
        restore = &book.restores.emplace_back(JointRestore{.number = ++book.last,
                                                           .mark = wanted.mark,
                                                           .begun = first.at,
                                                           .host = first.host,
                                                           .members = wanted.all_members});
    }
    for (const auto& [member, report] : wanted.reports) {
        auto before = restore->reports.find(member);
        if (before == restore->reports.end()) {
            restore->reports.emplace(member, report);
            continue;
        }
        const auto& there = before->second;
        if (there.ticket == report.ticket && there.ready()) continue; // asked once more
        if (!replaces(there, report, wanted, member)) {
            throw Error{
                Code::usage,
                fmt::format("{} is restored on {} in {} already ({} to m-{}, {})", member,
                            there.host, there.folder, restore_id(restore->number), restore->mark,
                            stage_name(there.stage)),
                {.hint = fmt::format("use that copy; if it is lost, add --instead; if that whole "
                                     "restore is given up, say --forget {} first",
                                     restore_id(restore->number))}};
        }
        before->second = report;
    }
    return restore->number;
}

void add_decisions(JointRestore& restore, const std::vector<JointDecision>& decisions)
{
    for (const auto& decision : decisions) {
        bool known = false;
        for (const auto& said : restore.decisions) {
            if (said.global_id != decision.global_id) continue;
            if (said.commit != decision.commit) {
                throw Error{
                    Code::usage,
                    fmt::format("{} of {} shall {}, but its transaction {} shall {} at {}, so {} "
                                "was told",
                                decision.gid, decision.member,
                                decision.commit ? "commit" : "roll back", decision.global_id,
                                said.commit ? "commit" : "roll back", said.member, said.by),
                    {.hint = "one distributed transaction has one verdict on all hosts: say the "
                             "same there and here"}};
            }
            known = known || (said.member == decision.member && said.gid == decision.gid);
        }
        if (!known) restore.decisions.push_back(decision);
    }
}

} // namespace tidemark::model
