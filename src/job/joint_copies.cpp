#include "job/joint_copies.h"

#include "base/error.h"
#include "base/real_folder.h"
#include "job/in_doubt.h"
#include "job/restore_claim.h"
#include "repo/restore_book.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace tidemark::job {

using base::Code;
using base::Error;
using model::JointRestore;
using model::JointStage;
namespace fs = std::filesystem;

namespace {

[[noreturn]] void throw_missing(const JointRestore& restore)
{
    auto missing = restore.missing();
    std::string seen;
    for (const auto& name : missing) {
        auto report = restore.reports.find(name);
        if (report == restore.reports.end()) {
            seen += fmt::format("; {} was not begun anywhere", name);
            continue;
        }
        const auto& line = report->second;
        seen += fmt::format("; {} {} on {} in {} at {}{}", name,
                            line.stage == JointStage::failed ? "failed" : "was being restored",
                            line.host, line.folder, base::format_time_human(line.at),
                            line.stage == JointStage::failed ? ": " + line.text
                                                             : ", nothing heard since");
    }
    throw Error{Code::member_not_ready,
                fmt::format("{} to m-{} is not there yet, nothing was opened: {} of {} members "
                            "stand at the mark{}",
                            model::restore_id(restore.number), restore.mark,
                            restore.members.size() - missing.size(), restore.members.size(), seen),
                {.hint = fmt::format("on the host of each: tidemark --repo URL restore{} --to m-{} "
                                     "--dir DIR (what was interrupted goes on); then --open again",
                                     fmt::format(" --only {}", fmt::join(missing, " --only ")),
                                     restore.mark)}};
}

} // namespace

std::optional<RestoreState> joint_state(const fs::path& folder)
{
    auto state = known_state(folder);
    return state && state->joint != 0 ? state : std::nullopt;
}

std::map<std::string, RestoreState> joint_members(const RestoreOptions& options,
                                                  const std::vector<std::string>& only)
{
    std::map<std::string, RestoreState> out;
    auto look = [&](const fs::path& folder) {
        auto state = joint_state(folder);
        if (!state) return;
        if (!only.empty() && std::find(only.begin(), only.end(), state->member) == only.end())
            return;
        if (options.dir.empty() && !options.map.contains(state->member)) return;
        if (member_folder(options, state->member) == folder) out.emplace(state->member, *state);
    };
    std::error_code error;
    if (!options.dir.empty()) {
        for (const auto& entry : fs::directory_iterator(base::resolve_links(options.dir), error))
            look(entry.path());
    }
    for (const auto& [member, folder] : options.map)
        look(base::resolve_links(folder));
    return out;
}

JointRestore require_all_there(const Context& context,
                               const std::map<std::string, RestoreState>& here)
{
    auto number = here.begin()->second.joint;
    auto book = repo::RestoreBook(context.storage(), here.begin()->second.group).load();
    auto* restore = book.find(number);
    if (restore == nullptr || restore->given_up) {
        throw Error{
            Code::usage,
            fmt::format("{} was given up, so nothing is opened here", model::restore_id(number)),
            {.hint = "the same --only as before makes these copies part of a new one; "
                     "--discard removes them"}};
    }
    for (const auto& [name, state] : here) {
        auto report = restore->reports.find(name);
        if (report != restore->reports.end() && report->second.ticket == state.ticket) continue;
        throw Error{Code::usage,
                    fmt::format("the copy of {} here does not count in {}{}", name,
                                model::restore_id(number),
                                report == restore->reports.end()
                                    ? std::string(" any more")
                                    : fmt::format(": that on {} in {} does", report->second.host,
                                                  report->second.folder)),
                    {.hint = fmt::format("open that one and --discard this, or make this one count "
                                         "with --only {} --instead",
                                         name)}};
    }
    if (!restore->missing().empty()) throw_missing(*restore);
    return *restore;
}

JointRestore confirm_opened(const Context& context, const std::map<std::string, RestoreState>& here)
{
    JointRestore out = require_all_there(context, here);
    auto lags = [&](const JointRestore& restore) {
        return std::any_of(here.begin(), here.end(), [&](const auto& one) {
            return one.second.phase == RestorePhase::handed_over &&
                   restore.reports.at(one.first).stage != JointStage::opened;
        });
    };
    if (!lags(out)) return out;
    repo::RestoreBook(context.storage(), here.begin()->second.group)
        .change([&](model::JointRestores& book) {
            auto* restore = book.find(out.number);
            if (restore == nullptr || !restore->is_open()) return;
            for (const auto& [name, state] : here) {
                auto report = restore->reports.find(name);
                if (state.phase != RestorePhase::handed_over || report == restore->reports.end() ||
                    report->second.ticket != state.ticket)
                    continue;
                report->second.stage = JointStage::opened;
                report->second.at = context.clock.now();
            }
            if (restore->all_opened()) restore->ended = context.clock.now();
            out = *restore;
        });
    return out;
}

KeptHere kept_here(const std::map<std::string, RestoreState>& here, const RestoreOptions& options,
                   const JointRestore& restore)
{
    KeptHere out;
    for (const auto& [name, state] : here) {
        for (const auto& decision : state.decisions) {
            if (decision.action != kKept) continue;
            ++out.kept;
            bool said = options.decisions.contains({name, decision.gid}) ||
                        std::any_of(restore.decisions.begin(), restore.decisions.end(),
                                    [&, n = name](const auto& one) {
                                        return one.member == n && one.gid == decision.gid;
                                    });
            if (said && options.settle) ++out.decided;
        }
    }
    return out;
}

void withdraw_members(const Context& context, const std::map<std::string, RestoreState>& here)
{
    if (here.empty()) return;
    repo::RestoreBook book(context.storage(), here.begin()->second.group);
    auto ours = [&](const JointRestore& restore, const std::string& name) {
        auto state = here.find(name);
        auto report = restore.reports.find(name);
        return state != here.end() && state->second.joint == restore.number &&
               report != restore.reports.end() && report->second.ticket == state->second.ticket;
    };
    auto open = book.open();
    bool any = std::any_of(open.begin(), open.end(), [&](const JointRestore& restore) {
        return std::any_of(here.begin(), here.end(),
                           [&](const auto& one) { return ours(restore, one.first); });
    });
    if (!any) return;
    book.change([&](model::JointRestores& all) {
        for (auto& restore : all.restores) {
            if (!restore.is_open()) continue;
            bool withdrawn = false;
            for (const auto& [name, state] : here) {
                if (!ours(restore, name)) continue;
                restore.reports.erase(name);
                withdrawn = true;
            }
            if (!withdrawn || !restore.reports.empty()) continue;
            restore.ended = context.clock.now();
            restore.given_up = true;
        }
    });
}

void withdraw_replaced(const Context& context, const repo::RestorePlan& plan,
                       const RestoreOptions& options)
{
    std::map<std::string, RestoreState> replaced;
    for (const auto& [name, member] : plan.members) {
        auto state = joint_state(member_folder(options, name));
        if (!state || state->group != plan.group) continue;
        bool goes_on = plan.mark && state->mark == plan.mark->number() &&
                       state->phase != RestorePhase::handed_over;
        if (!goes_on) replaced.emplace(state->member, *state);
    }
    withdraw_members(context, replaced);
}

} // namespace tidemark::job
