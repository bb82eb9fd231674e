#include "job/restore_member.h"

#include "base/error.h"
#include "base/subprocess.h"
#include "job/reindex.h"
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

/// An argument of restore_command, which PostgreSQL hands to a shell; '%' is its own escape.
std::string shell_quoted(const std::string& text)
{
    std::string out = "'";
    for (char c : text) {
        if (c == '\'')
            out += "'\\''";
        else if (c == '%')
            out += "%%";
        else
            out += c;
    }
    return out + "'";
}

base::Duration since(steady_clock::time_point start)
{
    return std::chrono::duration_cast<base::Duration>(steady_clock::now() - start);
}

/// Enough to find the member's engine.
model::MemberSpec spec_of(const std::string& member)
{
    return {.name = member, .url = {}, .data_dir = {}, .gid_pattern = {}};
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
    target_ = context.engine(spec_of(member.member))
                  .open_target({.member = member.member,
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

const LogNeeds& MemberRestore::needs()
{
    if (needs_) return *needs_;
    auto rebuild = [&](const repo::LogPiece& piece) {
        auto catalog = repo::LogCatalog::load(context_.storage(), id_);
        return index_rebuilder(context_, spec_of(member_.member), member_.backup.value.identity,
                               catalog, member_.history)(piece);
    };
    needs_ = log_needs(context_.storage(), id_, member_, rebuild);
    return *needs_;
}

/// What of the log replay must not see as production wrote it.
std::vector<engine::LogPatch> MemberRestore::log_patches()
{
    // More than the longest record of its kind, whose path has 1024 bytes (MAXPGPATH).
    constexpr model::Offset kEnough = 8192;
    std::vector<engine::LogPatch> patches;
    if (needs().tablespaces.empty()) return patches;
    repo::LogReader reader(context_.storage(), repo::LogCatalog::load(context_.storage(), id_));
    const auto& identity = member_.backup.value.identity;
    for (const auto& created : needs().tablespaces) {
        auto end = std::min(created.start + kEnough, member_.log_to.offset);
        auto bytes =
            reader.read(member_.history, {member_.history.epoch_at(created.start), created.start},
                        {member_.history.epoch_at(end - 1), end});
        auto found = context_.engine(spec_of(member_.member))
                         .keep_tablespace_inside({.version_num = identity.version_num,
                                                  .log_segment_size = identity.log_segment_size,
                                                  .start = created.start,
                                                  .bytes = bytes});
        patches.insert(patches.end(), found.begin(), found.end());
    }
    return patches;
}

/// Made by replay below the data directory, then taken to where those of the base backup are.
fs::path MemberRestore::created_place(std::uint32_t oid) const
{
    return folder_ / "tablespaces" / std::to_string(oid);
}

engine::RecoverySpec MemberRestore::recovery_spec()
{
    engine::RecoverySpec spec;
    auto goal = options_.goals.find(member_.member);
    if (goal != options_.goals.end())
        spec.goal = goal->second;
    else
        spec.goal.position = member_.target.offset;
    spec.goal.epoch = member_.history.current();
    spec.restore_command = fmt::format("{} fetch-log {} %f %p", shell_quoted(helper_path()),
                                       shell_quoted(work_dir().string()));
    const auto& backup = member_.backup.value;
    spec.backup_label = backup.backup_label;
    for (const auto& [oid, location] : backup.facts.tablespaces)
        spec.tablespace_map += tablespace_line(oid, tablespace(oid), backup.identity.version_num);
    spec.limits = backup.identity.settings;
    // They may have been raised since: then as much can be in flight at the mark.
    raise_settings(spec.limits, needs().limits);
    for (const auto& created : needs().tablespaces)
        if (!backup.facts.tablespaces.contains(created.oid))
            spec.created_tablespaces.emplace(created.oid, created_place(created.oid));
    spec.superuser = backup.facts.bootstrap_superuser;
    spec.collation_versions = backup.facts.collation_versions;
    return spec;
}

/// The server's user may not be able to reach our program (a build below /root): it gets a copy of
/// its own, unless no program can be run there (check_places() has seen to that).
bool MemberRestore::needs_own_helper() const
{
    return owner_ && runs_programs(folder_);
}

std::string MemberRestore::helper_path() const
{
    return needs_own_helper() ? (work_dir() / "fetch-log").string() : options_.helper;
}

void MemberRestore::start_feeder()
{
    if (feeder_) return;
    if (needs_own_helper()) copy_program(options_.helper, work_, "fetch-log");
    feeder_ = std::make_unique<LogFeeder>(
        context_.storage(), member_,
        LogFeeder::Options{.folder = work_dir(),
                           .owner = owner_,
                           .segment_size = member_.backup.value.identity.log_segment_size,
                           .patches = log_patches()});
    if (state_.claimed != 0) feeder_->reserve_below(state_.claimed);
}

void MemberRestore::recover(std::stop_token stop)
{
    if (state_.phase >= RestorePhase::promoted) return;
    target_->prepare(recovery_spec());
    if (state_.phase >= RestorePhase::at_mark) return;
    auto start = steady_clock::now();
    if (!needs().tablespaces.empty()) make_folder(folder_ / "tablespaces", {}, enterable());
    start_feeder();
    context_.progress.stage(member_.member, "replay log", member_.log_bytes);
    try {
        auto reached = target_->recover(
            [&](model::Offset at) {
                auto from = member_.log_from.offset;
                context_.progress.advance(member_.member, at > from ? at - from : 0);
            },
            stop);
        report_.reached = reached.position;
        report_.evidence = reached.evidence;
    } catch (Error& error) {
        const std::string_view said = error.what();
        if (said.find(": command not ") != said.npos) // "executable", "found"
            error.add_context("the server's user cannot run " + helper_path());
        auto why = feeder_->failure();
        if (!why) throw;
        auto context = "log could not be delivered (" + *why + ")";
        // The server only sees that a file does not come.
        auto code = feeder_->failure_code();
        bool ours = code == Code::not_restorable || code == Code::repository_unreachable ||
                    code == Code::out_of_space;
        if (!ours || error.code() == Code::cancelled) {
            error.add_context(context);
            throw;
        }
        // The server, which knows no more, would have us look at the repository.
        auto hint = code == Code::out_of_space ? "free some space and run the same command again"
                                               : error.hint();
        throw Error{*code, context + ": " + error.what(), {.hint = hint}};
    }
    state_.reached = report_.evidence;
    report_.recover_time = since(start);
    enter(RestorePhase::at_mark);
    context_.progress.finished(member_.member);
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
