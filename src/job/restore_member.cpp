#include "job/restore_member.h"

#include "base/error.h"
#include "base/subprocess.h"
#include "job/host_locales.h"
#include "job/log_needs.h"
#include "job/restore_claim.h"
#include "job/restore_files.h"
#include "job/restore_space.h"
#include "job/target_folders.h"
#include "repo/histories.h"

#include <algorithm>
#include <csignal>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fstream>
#include <set>
#include <unistd.h>

namespace tidemark::job {

using base::Code;
using base::Error;
namespace fs = std::filesystem;
using std::chrono::steady_clock;

namespace {

/// Room for log segments in flight and the server's own files.
constexpr std::uint64_t kHeadroom = 256ULL << 20;

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

} // namespace

std::filesystem::path member_folder(const RestoreOptions& options, const std::string& member)
{
    auto mapped = options.map.find(member);
    // Links in what the operator named are meant; none is below it.
    return mapped != options.map.end() ? base::resolve_links(mapped->second)
                                       : base::resolve_links(options.dir) / member;
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
    model::MemberSpec spec{.name = member.member, .url = {}, .data_dir = {}, .gid_pattern = {}};
    target_ = context.engine(spec).open_target({.member = member.member,
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
    report_.backup = member.backup.number();
    report_.bytes = member.bytes_to_write;
    report_.log_bytes = member.log_bytes;
    report_.target = member.target;
}

fs::path MemberRestore::tablespace(std::uint32_t oid) const
{
    auto mapped = options_.tablespaces.find({member_.member, oid});
    return mapped != options_.tablespaces.end() ? base::resolve_links(mapped->second)
                                                : folder_ / "tablespaces" / std::to_string(oid);
}

void MemberRestore::enter(RestorePhase phase)
{
    state_.phase = phase;
    save_restore_state(state_file(), state_);
}

void MemberRestore::refuse_running_server(const fs::path& data_dir) const
{
    std::ifstream file(data_dir / "postmaster.pid");
    long pid = 0;
    if (!(file >> pid) || pid <= 0) return;
    if (::kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH) return;
    throw Error{Code::target_not_empty,
                fmt::format("a server runs in {} (process {})", data_dir.string(), pid),
                {.hint = "choose another folder; a running server is never overwritten, not even "
                         "with --force"}};
}

void MemberRestore::refuse_occupied() const
{
    refuse_running_server(folder_);
    refuse_running_server(data_dir_);
    auto ours = removals();
    std::vector<fs::path> places{folder_};
    for (const auto& [oid, place] : state_.tablespaces)
        if (!place.starts_with((folder_ / "tablespaces" / "").native())) places.emplace_back(place);
    for (const auto& place : places) {
        bool replaced =
            options_.force && (place == folder_ ? holds_restore(folder_)
                                                : std::count(ours.begin(), ours.end(), place) > 0);
        if (replaced || is_free(place)) continue;
        throw Error{Code::target_not_empty,
                    place.string() + " is not empty",
                    {.hint = "choose another folder with --dir, --map or --tablespace, or empty it "
                             "yourself; --force removes only what a restore wrote"}};
    }
}

std::vector<SpaceNeed> MemberRestore::space_needs() const
{
    if (continues()) return {};
    std::vector<SpaceNeed> needs;
    auto rest = member_.bytes_to_write;
    bool mapped = std::any_of(options_.tablespaces.begin(), options_.tablespaces.end(),
                              [&](const auto& one) { return one.first.first == member_.member; });
    if (mapped) {
        for (const auto& [oid, size] : tablespace_sizes(context_.storage(), member_.backup)) {
            auto part = std::min(size, rest);
            rest -= part;
            needs.push_back({tablespace(oid), part, member_.member});
        }
    }
    needs.push_back({folder_, rest + kHeadroom, member_.member});
    return needs;
}

/// An unfinished restore to the same mark, with or without --force.
bool MemberRestore::continues(const std::optional<RestoreState>& stored) const
{
    return stored && stored->repository == state_.repository && stored->group == state_.group &&
           stored->member == state_.member && stored->mark == state_.mark &&
           stored->target == state_.target && stored->phase != RestorePhase::handed_over;
}

bool MemberRestore::continues() const
{
    return continues(known_state(folder_));
}

void MemberRestore::refuse_other_restore(const RestoreState& stored) const
{
    bool same = stored.repository == state_.repository && stored.group == state_.group &&
                stored.member == state_.member && stored.mark == state_.mark &&
                stored.target == state_.target;
    if (same)
        throw Error{Code::target_not_empty,
                    folder_.string() + " was restored to this mark and handed over already",
                    {.hint = "choose another folder, or --force to restore once more"}};
    auto point =
        stored.mark == 0 ? model::format_position(stored.target) : repo::mark_id(stored.mark);
    throw Error{Code::target_not_empty,
                fmt::format("{} holds a restore of {} to {} ({})", folder_.string(), stored.member,
                            point, phase_name(stored.phase)),
                {.hint = "go on with that one, give it up with --discard, or replace it with "
                         "--force"}};
}

/// Replay ends at the first record whose library is not loaded (rules.md 23: only what the operator
/// names is).
void MemberRestore::require_extensions() const
{
    if (!options_.preload.empty()) return;
    auto managers = extension_managers(context_.storage(), id_, member_);
    if (managers.empty()) return;
    const auto& settings = member_.backup.value.identity.settings;
    auto preloaded = settings.find("shared_preload_libraries");
    auto known = preloaded != settings.end() && !preloaded->second.empty();
    throw Error{Code::point_not_reachable,
                fmt::format("the log of {} holds records of extensions (resource managers {}), "
                            "which cannot be replayed without their libraries",
                            member_.member, fmt::join(managers, ", ")),
                {.hint = known ? fmt::format("its server preloaded {} at the backup: name what is "
                                             "needed of it with --preload",
                                             preloaded->second)
                               : "name the libraries with --preload"}};
}

std::vector<std::string> MemberRestore::preflight()
{
    std::vector<std::string> warnings;
    auto stored = options_.force ? known_state(folder_) : load_restore_state(state_file());
    if (continues(stored)) {
        if (stored->tablespaces != state_.tablespaces)
            throw Error{Code::target_not_empty,
                        folder_.string() + " holds this restore with its tablespaces elsewhere",
                        {.hint = "say the same --tablespace as before, or --discard first"}};
        context_.progress.note(
            fmt::format("{} goes on from phase '{}'", member_.member, phase_name(stored->phase)));
    } else {
        if (stored && !options_.force) refuse_other_restore(*stored);
        refuse_occupied();
    }
    target_->preflight();
    for (auto& warning : foreseen_collations(member_.backup.value.facts.collation_versions))
        warnings.push_back(member_.member + ": " + warning);
    require_extensions();
    return warnings;
}

void MemberRestore::begin()
{
    auto stored = known_state(folder_);
    bool resumed = continues(stored);
    if (!resumed && holds_restore(folder_)) discard();
    top_ = take_folder(folder_, {}, enterable());
    work_ = make_folder(work_dir(), {}, enterable());
    lock_ = lock_target(work_dir());
    if (resumed) {
        state_ = *stored;
        report_.evidence = state_.reached;
        report_.reached = state_.target;
        return;
    }
    enter(RestorePhase::writing);
}

std::vector<fs::path> MemberRestore::removals() const
{
    return what_a_restore_left(folder_);
}

void MemberRestore::require_discardable() const
{
    refuse_running_server(folder_);
    if (is_free(folder_)) return;
    if (!holds_restore(folder_))
        throw Error{Code::target_not_empty,
                    folder_.string() + " holds no restore of Tidemark, so nothing is removed",
                    {.hint = "check --dir and --map"}};
    auto stored = known_state(folder_);
    if (stored && stored->member != member_.member)
        throw Error{Code::target_not_empty,
                    fmt::format("{} holds a restore of {}, not of {}", folder_.string(),
                                stored->member, member_.member),
                    {.hint = "check --dir and --map"}};
    if (stored && stored->phase == RestorePhase::handed_over && !options_.force)
        throw Error{Code::target_not_empty,
                    folder_.string() + " was handed over: it may hold new work by now",
                    {.hint = "add --force to remove it all the same"}};
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

void MemberRestore::write_files(std::stop_token stop)
{
    if (state_.phase > RestorePhase::writing) return;
    auto start = steady_clock::now();
    fs::remove_all(base::path_within(top_, "data"));
    make_folder(data_dir_, owner_, 0700);
    if (!state_.tablespaces.empty()) make_folder(folder_ / "tablespaces", {}, enterable());
    RestoreFilesOptions files{
        .data_dir = data_dir_, .tablespaces = {}, .owner = owner_, .workers = context_.workers};
    for (const auto& [oid, location] : member_.backup.value.facts.tablespaces) {
        auto place = tablespace(oid);
        make_folder(place, owner_, 0700);
        empty_tablespace(place);
        files.tablespaces.emplace(oid, place);
    }
    context_.progress.stage(member_.member, "write files", member_.backup.value.totals.plain_bytes);
    restore_files(
        context_.storage(), member_.backup, files,
        [&](std::uint64_t done) { context_.progress.advance(member_.member, done); }, stop);
    report_.write_time = since(start);
    enter(RestorePhase::written);
}

engine::RecoverySpec MemberRestore::recovery_spec() const
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
    spec.superuser = backup.facts.bootstrap_superuser;
    spec.collation_versions = backup.facts.collation_versions;
    return spec;
}

/// The server's user may not be able to reach our program (a build below /root): then it gets a
/// copy of its own.
std::string MemberRestore::helper_path() const
{
    return owner_ ? (work_dir() / "fetch-log").string() : options_.helper;
}

void MemberRestore::start_feeder()
{
    if (feeder_) return;
    if (owner_) copy_program(options_.helper, work_, "fetch-log");
    feeder_ = std::make_unique<LogFeeder>(
        context_.storage(), member_,
        LogFeeder::Options{.folder = work_dir(),
                           .owner = owner_,
                           .segment_size = member_.backup.value.identity.log_segment_size});
    if (state_.claimed != 0) feeder_->reserve_below(state_.claimed);
}

void MemberRestore::recover(std::stop_token stop)
{
    if (state_.phase >= RestorePhase::promoted) return;
    target_->prepare(recovery_spec());
    if (state_.phase >= RestorePhase::at_mark) return;
    auto start = steady_clock::now();
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
        if (auto why = feeder_->failure())
            error.add_context("log could not be delivered (" + *why + ")");
        throw;
    }
    state_.reached = report_.evidence;
    report_.recover_time = since(start);
    enter(RestorePhase::at_mark);
    context_.progress.finished(member_.member);
}

void MemberRestore::promote(std::stop_token stop)
{
    auto start = steady_clock::now();
    if (state_.phase >= RestorePhase::promoted) {
        target_->resume(stop);
        return;
    }
    context_.progress.stage(member_.member, "promote");
    if (state_.phase < RestorePhase::claimed) {
        auto next = member_.history.current() + 1;
        state_.claimed = options_.scratch
                             ? repo::free_epoch(context_.storage(), id_, next)
                             : repo::claim_epoch(context_.storage(), id_, next,
                                                 context_.host + ":" + folder_.string());
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

/// What recovery left prepared must be what the mark says is in doubt: no more, no less.
void MemberRestore::compare_prepared(const std::vector<engine::PreparedBranch>& prepared) const
{
    if (!plan_.mark) return;
    std::set<std::string> expected;
    for (const auto& doubt : plan_.mark->value.at.in_doubt) {
        if (doubt.branch.member == member_.member) expected.insert(doubt.branch.gid);
    }
    std::string missing, surplus;
    for (const auto& branch : prepared) {
        if (expected.erase(branch.gid) == 0) surplus += (surplus.empty() ? "" : ", ") + branch.gid;
    }
    for (const auto& gid : expected)
        missing += (missing.empty() ? "" : ", ") + gid;
    if (missing.empty() && surplus.empty()) return;
    throw Error{Code::not_restorable,
                fmt::format("what is prepared after recovery is not what the mark says:{}{}",
                            missing.empty() ? "" : " missing " + missing,
                            surplus.empty() ? "" : " unexpected " + surplus),
                {.hint = "the members stay closed on their private sockets; tidemark audit shows "
                         "the mark's proof; "
                         "restore to an earlier mark with --discard first"}};
}

Decision MemberRestore::decide(const engine::PreparedBranch& branch,
                               std::optional<bool>& commit) const
{
    Decision decision{.gid = branch.gid,
                      .global_id = branch.gid,
                      .database = branch.database,
                      .action = "kept",
                      .evidence = "the mark says nothing about it"};
    const model::InDoubt* found = nullptr;
    if (plan_.mark) {
        for (const auto& doubt : plan_.mark->value.at.in_doubt) {
            if (doubt.branch.member == member_.member && doubt.branch.gid == branch.gid)
                found = &doubt;
        }
    }
    if (found != nullptr) {
        decision.global_id = found->branch.global_id;
        decision.evidence = found->verdict.evidence;
        decision.differs_from_production = found->differs_from_production;
        if (found->verdict.decision == model::Decision::commit) commit = true;
        if (found->verdict.decision == model::Decision::rollback) commit = false;
    }
    if (!commit) {
        auto word = options_.decisions.find({member_.member, branch.gid});
        if (word != options_.decisions.end()) {
            commit = word->second;
            decision.evidence += "; decided by the operator";
        }
    }
    if (!options_.settle) commit.reset();
    if (commit) decision.action = *commit ? "commit" : "rollback";
    return decision;
}

void MemberRestore::settle()
{
    auto prepared = target_->prepared();
    if (state_.phase < RestorePhase::compared) {
        compare_prepared(prepared);
        enter(RestorePhase::compared);
    }
    for (const auto& branch : prepared) {
        std::optional<bool> commit;
        auto decision = decide(branch, commit);
        if (commit)
            target_->settle(branch, *commit);
        else
            unsettled_ = true;
        report_.decisions.push_back(std::move(decision));
    }
    report_.warnings = target_->warnings();
    if (state_.phase < RestorePhase::settled) enter(RestorePhase::settled);
}

void MemberRestore::hand_over(std::stop_token stop)
{
    context_.progress.stage(member_.member, "hand over");
    if (state_.claimed != 0) report_.epoch = state_.claimed;
    report_.hand_over = target_->hand_over({.as_production = options_.as_production,
                                            .start = options_.start,
                                            .captured = member_.backup.value.facts.captured},
                                           stop);
    feeder_.reset();
    enter(RestorePhase::handed_over);
    context_.progress.finished(member_.member);
}

std::vector<std::string> preflight(const std::vector<std::unique_ptr<MemberRestore>>& members)
{
    std::vector<std::string> warnings;
    std::vector<SpaceNeed> needs;
    for (const auto& member : members) {
        for (auto& warning : member->preflight())
            warnings.push_back(std::move(warning));
        for (auto& need : member->space_needs())
            needs.push_back(std::move(need));
    }
    require_room(needs);
    return warnings;
}

} // namespace tidemark::job
