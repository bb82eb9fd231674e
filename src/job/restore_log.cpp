// The log that a member's restore replays: what it asks of the server, how it is delivered, and
// what of it is replaced.

#include "base/error.h"
#include "job/log_patches.h"
#include "job/reindex.h"
#include "job/restore_member.h"
#include "job/restore_places.h"
#include "job/target_folders.h"
#include "repo/log_reader.h"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>

namespace tidemark::job {

using base::Code;
using base::Error;
namespace fs = std::filesystem;

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

} // namespace

const LogNeeds& MemberRestore::needs()
{
    if (needs_) return *needs_;
    auto rebuild = [&](const repo::LogPiece& piece) {
        auto catalog = repo::LogCatalog::load(context_.storage(), id_);
        model::MemberSpec spec{
            .name = member_.member, .url = {}, .data_dir = {}, .gid_pattern = {}};
        return index_rebuilder(context_, spec, member_.backup.value.identity, catalog,
                               member_.history)(piece);
    };
    needs_ = log_needs(context_.storage(), id_, member_, rebuild);
    return *needs_;
}

/// What of the log replay must not see as production wrote it.
std::vector<engine::LogPatch> MemberRestore::log_patches()
{
    std::vector<model::Offset> starts;
    for (const auto& created : needs().tablespaces)
        starts.push_back(created.start);
    if (starts.empty()) return {};
    repo::LogReader reader(context_.storage(), repo::LogCatalog::load(context_.storage(), id_));
    return tablespace_patches(engine(),
                              {.reader = reader,
                               .history = member_.history,
                               .identity = member_.backup.value.identity,
                               .end = member_.log_to.offset},
                              starts);
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
    auto start = std::chrono::steady_clock::now();
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
    report_.recover_time =
        std::chrono::duration_cast<base::Duration>(std::chrono::steady_clock::now() - start);
    enter(RestorePhase::at_mark);
    context_.progress.finished(member_.member);
}

} // namespace tidemark::job
