#include "job/restore_member.h"

#include "base/error.h"
#include "base/subprocess.h"
#include "job/restore_claim.h"
#include "job/restore_places.h"
#include "job/target_folders.h"
#include "repo/histories.h"

#include <algorithm>
#include <fmt/format.h>
#include <unistd.h>

namespace tidemark::job {

using base::Code;
using base::Error;
namespace fs = std::filesystem;
using std::chrono::steady_clock;

namespace {

base::Duration since(steady_clock::time_point start)
{
    return std::chrono::duration_cast<base::Duration>(steady_clock::now() - start);
}

} // namespace

std::filesystem::path member_folder(const RestoreOptions& options, const std::string& member)
{
    auto mapped = options.map.find(member);
    // Links in what the operator named are meant; none is below it.
    return mapped != options.map.end() ? base::resolve_links(mapped->second)
                                       : base::resolve_links(options.dir) / member;
}

fs::path tablespace_folder(const RestoreOptions& options, const std::string& member,
                           std::uint32_t oid)
{
    auto mapped = options.tablespaces.find({member, oid});
    return mapped != options.tablespaces.end()
               ? base::resolve_links(mapped->second)
               : member_folder(options, member) / "tablespaces" / std::to_string(oid);
}

std::string tablespace_line(std::uint32_t oid, const fs::path& place, int version_num)
{
    // Until PostgreSQL 13 a backslash is one, unless the line ends behind it; from 14 on it escapes
    // whatever follows (read_tablespace_map).
    bool escapes_itself = version_num >= 140000;
    if (!escapes_itself && place.native().ends_with('\\'))
        throw Error{Code::usage,
                    "PostgreSQL 13 cannot keep a tablespace in " + place.native(),
                    {.hint = "choose a folder whose name does not end with a backslash"}};
    auto line = std::to_string(oid) + " ";
    for (char c : place.native()) {
        if (c == '\n' || c == '\r' || (c == '\\' && escapes_itself)) line += '\\';
        line += c;
    }
    return line + "\n";
}

MemberRestore::MemberRestore(const Context& context, const repo::RestorePlan& plan,
                             const repo::MemberPlan& member, const RestoreOptions& options)
    : context_(context), plan_(plan), member_(member), options_(options),
      id_{.group = plan.group, .member = member.member},
      folder_(member_folder(options, member.member)), data_dir_(folder_ / "data")
{
    if (!options.user.empty()) {
        auto user = base::lookup_user(options.user);
        if (user.uid != ::geteuid()) owner_ = Owner{user.uid, user.gid};
    }
    const auto& identity = member.backup.value.identity;
    target_ = engine().open_target({.member = member.member,
                                    .dir = data_dir_,
                                    .work_dir = work_dir(),
                                    .user = options.user,
                                    .bin_dir = options.bin_dir,
                                    .version_num = identity.version_num,
                                    .system_id = identity.system_id,
                                    .preload_libraries = options.preload});
    state_ = {.repository = context.repository.head().id,
              .group = plan.group,
              .member = member.member,
              .mark = plan.mark ? plan.mark->number() : 0,
              .backup = member.backup.number(),
              .target = member.target,
              .phase = RestorePhase::writing,
              .claimed = 0,
              .reached = {},
              .tablespaces = {}};
    for (const auto& [oid, location] : member.backup.value.facts.tablespaces)
        state_.tablespaces.emplace(oid, tablespace(oid).string());
    report_.name = member.member;
    report_.folder = folder_;
    report_.data_dir = data_dir_;
    describe_plan();
}

engine::Engine& MemberRestore::engine() const
{
    return context_.engine({.name = member_.member, .url = {}, .data_dir = {}, .gid_pattern = {}});
}

fs::path MemberRestore::tablespace(std::uint32_t oid) const
{
    return tablespace_folder(options_, member_.member, oid);
}

void MemberRestore::enter(RestorePhase phase)
{
    state_.phase = phase;
    save_restore_state(state_file(), state_);
}

void MemberRestore::begin()
{
    auto stored = known_state(folder_);
    bool resumed = continues(stored);
    if (!resumed && holds_restore(folder_)) discard();
    top_ = take_folder(folder_, {}, enterable());
    work_ = make_folder(work_dir(), {}, enterable());
    lock_ = lock_target(work_dir());
    if (options_.joint) {
        state_.joint = options_.joint->number;
        state_.ticket = options_.joint->tickets.at(member_.member);
    }
    if (resumed)
        take_up(*stored);
    else
        enter(RestorePhase::writing);
}

void MemberRestore::take_up(const RestoreState& stored)
{
    refuse_other_part(stored);
    auto fresh = state_;
    state_ = stored;
    state_.joint = fresh.joint;
    state_.ticket = fresh.ticket;
    if (state_.phase < RestorePhase::at_mark && state_.backup != fresh.backup) {
        // The plan has come to prefer another base backup: its label must not meet these files.
        state_.backup = fresh.backup;
        state_.phase = RestorePhase::writing;
    }
    // Before anything is closed: whatever happens, the same command goes on from here.
    if (state_.phase == RestorePhase::handed_over) state_.phase = RestorePhase::settled;
    if (state_ != stored) save_restore_state(state_file(), state_);
    if (state_.phase < RestorePhase::at_mark) return;
    report_.evidence = state_.reached;
    report_.reached = state_.target;
}

std::vector<fs::path> MemberRestore::discard()
{
    refuse_running_server(folder_);
    if (!holds_restore(folder_)) return {};
    auto lock = lock_target(work_dir());
    target_->stop();
    refuse_running_server(data_dir_);
    return remove_restore(folder_);
}

void MemberRestore::take_epoch()
{
    auto next = member_.history.current() + 1;
    if (!options_.scratch) {
        try {
            state_.claimed = repo::claim_epoch(context_.storage(), id_, next,
                                               context_.host + ":" + folder_.string());
            return;
        } catch (const Error& error) {
            // A repository that can only be read is where many a restore begins. Two copies under
            // one number are told apart by their bytes when both are backed up into it.
            bool takes_nothing =
                error.code() == Code::repository_unreachable || error.code() == Code::out_of_space;
            if (!takes_nothing || error.transient()) throw;
            state_.unclaimed = error.what();
        }
    }
    state_.claimed = repo::free_epoch(context_.storage(), id_, next);
}

void MemberRestore::promote(std::stop_token stop)
{
    auto start = steady_clock::now();
    if (state_.phase >= RestorePhase::promoted) {
        report_.epoch = state_.claimed;
        target_->resume(stop);
        return;
    }
    context_.progress.stage(member_.member, "promote");
    if (state_.phase < RestorePhase::claimed) {
        take_epoch();
        enter(RestorePhase::claimed);
    }
    start_feeder();
    feeder_->reserve_below(state_.claimed);
    auto opened = target_->promote(stop);
    report_.epoch = opened.epoch;
    if (opened.epoch != state_.claimed) {
        throw Error{Code::identity_mismatch,
                    fmt::format("the server went to timeline {}, {} was claimed for it",
                                opened.epoch, state_.claimed)};
    }
    report_.open_time = since(start);
    enter(RestorePhase::promoted);
}

void MemberRestore::settle()
{
    auto prepared = target_->prepared();
    InDoubt doubt(plan_.mark ? &plan_.mark->value : nullptr, member_.member, options_, verdicts_);
    if (state_.phase < RestorePhase::compared)
        state_.decisions = doubt.decide(prepared);
    else
        doubt.decide_again(prepared, state_.decisions);
    // What was done and why outlives us, so it is written first.
    enter(std::max(state_.phase, RestorePhase::compared));
    for (const auto& branch : prepared) {
        auto decision = std::find_if(
            state_.decisions.begin(), state_.decisions.end(),
            [&](const Decision& one) { return one.xid == branch.xid && one.gid == branch.gid; });
        if (decision != state_.decisions.end() && decision->action != kKept)
            target_->settle(branch, decision->action == "commit");
    }
    report_.decisions = state_.decisions;
    unsettled_ = std::any_of(state_.decisions.begin(), state_.decisions.end(),
                             [](const Decision& one) { return one.action == kKept; });
    report_.warnings = target_->warnings();
    if (state_.phase < RestorePhase::settled) enter(RestorePhase::settled);
}

void MemberRestore::keep_table_warnings(const std::vector<std::string>& sentences)
{
    if (state_.table_warnings == sentences) return;
    state_.table_warnings = sentences;
    save_restore_state(state_file(), state_);
}

engine::HandOverOptions MemberRestore::hand_over_options() const
{
    const auto& backup = member_.backup.value;
    return {.as_production = options_.as_production,
            .captured = backup.facts.captured,
            .data_directory = backup.identity.data_directory};
}

void MemberRestore::prepare_hand_over(std::stop_token stop)
{
    context_.progress.stage(member_.member, "configure");
    report_.hand_over = target_->prepare_hand_over(hand_over_options(), stop);
    feeder_.reset();
}

void MemberRestore::hand_over()
{
    context_.progress.stage(member_.member, "hand over");
    target_->hand_over(report_.hand_over, options_.start);
}

void MemberRestore::finish()
{
    state_.opened = true;
    enter(RestorePhase::handed_over);
    context_.progress.finished(member_.member);
}

void MemberRestore::take_back()
{
    target_->take_back();
    if (state_.phase == RestorePhase::handed_over) enter(RestorePhase::settled);
}

} // namespace tidemark::job
