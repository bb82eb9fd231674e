// The first step of a member's restore: its files, from another base backup when the planned one
// turns out to be damaged.

#include "base/error.h"
#include "job/restore_claim.h"
#include "job/restore_files.h"
#include "job/restore_member.h"
#include "job/target_folders.h"
#include "repo/view.h"

#include <chrono>
#include <fmt/format.h>

namespace tidemark::job {

using base::Code;
using base::Error;
namespace fs = std::filesystem;

namespace {

/// The object of a base backup that an error of reading it names (repo/damage.h); empty when it is
/// about something else.
std::string damaged_part(const Error& why, const model::Manifest& backup)
{
    if (why.code() != Code::not_restorable) return {};
    const std::string_view said = why.what();
    if (said.find(backup.page_map.key) != said.npos) return backup.page_map.key;
    for (const auto& pack : backup.packs)
        if (said.find(pack.key) != said.npos) return pack.key;
    return {};
}

} // namespace

void MemberRestore::describe_plan()
{
    report_.backup = member_.backup.number();
    report_.damaged = member_.damaged;
    report_.bytes = member_.bytes_to_write;
    report_.log_bytes = member_.log_bytes;
    report_.target = member_.target;
}

void MemberRestore::write_files(std::stop_token stop)
{
    if (state_.phase > RestorePhase::writing) return;
    const auto start = std::chrono::steady_clock::now();
    for (bool written = false; !written;) {
        try {
            write_planned_files(stop);
            written = true;
        } catch (const Error& error) {
            if (!take_other_backup(error)) throw;
        }
    }
    report_.write_time =
        std::chrono::duration_cast<base::Duration>(std::chrono::steady_clock::now() - start);
    enter(RestorePhase::written);
}

bool MemberRestore::take_other_backup(const Error& why)
{
    // Practice that went round would pass, and nothing would remember the damage.
    if (options_.scratch) return false;
    const auto object = damaged_part(why, member_.backup.value);
    if (object.empty()) return false;
    std::set<std::string> damaged{object};
    for (const auto& [key, sentence] : state_.damaged)
        damaged.insert(key);
    std::vector<std::string> warnings;
    auto other =
        repo::plan_around(repo::load_view(context_.storage(), plan_.group, {.proofs = false}),
                          member_, damaged, warnings);
    if (!other) return false;
    // One that it does not hold would go elsewhere than the operator said.
    for (const auto& [place, folder] : options_.tablespaces)
        if (place.first == member_.member &&
            !other->backup.value.facts.tablespaces.contains(place.second))
            return false;

    auto sentence =
        fmt::format("member {}: the base backup b-{} is damaged ({}), so b-{} and the "
                    "log from there on are taken instead; run `tidemark verify`, and "
                    "`tidemark backup` for a sound one",
                    member_.member, member_.backup.number(), why.message(), other->backup.number());
    context_.progress.note(sentence);
    // Whatever the other one has not.
    for (const auto& [oid, location] : member_.backup.value.facts.tablespaces)
        empty_tablespace(tablespace(oid));
    // The group's plan did not name it, so retention knows of it from here on only.
    repo::RestorePlan part;
    part.group = plan_.group;
    part.mark = plan_.mark;
    part.members.emplace(other->member, *other);
    other_reading_ = std::make_unique<Reading>(context_, part);
    member_ = std::move(*other);
    needs_.reset();
    require_extensions();
    describe_plan();
    state_.tablespaces.clear(); // a run that goes on holds them against its plan
    for (const auto& [oid, location] : member_.backup.value.facts.tablespaces)
        state_.tablespaces.emplace(oid, tablespace(oid).string());
    state_.backup = member_.backup.number();
    // A run after this one does not begin with the damaged one again.
    state_.damaged.emplace(object, sentence);
    enter(RestorePhase::writing);
    went_round_.push_back(std::move(sentence));
    for (auto& warning : warnings)
        went_round_.push_back(std::move(warning));
    return true;
}

void MemberRestore::write_planned_files(std::stop_token stop)
{
    fs::remove_all(base::path_within(top_, "data"));
    make_folder(data_dir_, owner_, 0700);
    if (!state_.tablespaces.empty()) make_folder(folder_ / "tablespaces", {}, enterable());
    for (const auto& created : needs().tablespaces) // of an attempt before this one
        if (!state_.tablespaces.contains(created.oid))
            fs::remove_all(base::path_within(top_, "tablespaces") / std::to_string(created.oid));
    RestoreFilesOptions files{
        .data_dir = data_dir_, .tablespaces = {}, .owner = owner_, .workers = context_.workers};
    for (const auto& [oid, location] : member_.backup.value.facts.tablespaces) {
        auto place = tablespace(oid);
        make_folder(place, owner_, 0700);
        empty_tablespace(place);
        files.tablespaces.emplace(oid, place);
    }
    context_.progress.stage(member_.member, "write files", member_.backup.value.totals.plain_bytes);
    RestoreFilesProgress progress{
        .written = [&](std::uint64_t done) { context_.progress.advance(member_.member, done); },
        .making_durable = [&] { context_.progress.stage(member_.member, "make durable"); }};
    restore_files(context_.storage(), member_.backup, files, progress, stop);
}

} // namespace tidemark::job
