// What stands in the way of a member's restore, before anything is written.

#include "base/error.h"
#include "base/process_state.h"
#include "base/subprocess.h"
#include "job/host_locales.h"
#include "job/in_doubt.h"
#include "job/operator_words.h"
#include "job/restore_claim.h"
#include "job/restore_member.h"
#include "job/restore_places.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fstream>

namespace tidemark::job {

using base::Code;
using base::Error;
namespace fs = std::filesystem;

namespace {

/// As production it would be handed over with these, and by then production may be gone.
void require_essentials(const repo::MemberPlan& member)
{
    const auto missing = model::missing_essentials(member.backup.value.facts.captured);
    if (missing.empty()) return;
    throw Error{
        Code::not_restorable,
        fmt::format("b-{} of {} does not hold {}: there is no configuration to put in force",
                    member.backup.number(), member.member, fmt::join(missing, ", ")),
        {.hint = "restore in quarantine, without --as-production, and put the files there "
                 "yourself; later backups hold them when tidemark check "
                 "(configuration_files) has nothing to say"}};
}

std::optional<std::string> missing_configuration(const repo::MemberPlan& member)
{
    const auto missing = model::missing_configuration(member.backup.value.facts.captured);
    if (missing.empty()) return std::nullopt;
    return fmt::format("{}: b-{} does not hold {}, so nothing of it is restored", member.member,
                       member.backup.number(), fmt::join(missing, ", "));
}

} // namespace

std::vector<std::string> check_anywhere(const repo::RestorePlan& plan,
                                        const RestoreOptions& options)
{
    if (plan.mark) check_words(plan.mark->value, options);
    check_tablespaces(plan, options);
    auto warnings = plan.warnings;
    for (const auto& [name, member] : plan.members) {
        if (options.as_production) require_essentials(member);
        if (auto warning = missing_configuration(member)) warnings.push_back(std::move(*warning));
    }
    return warnings;
}

void MemberRestore::refuse_running_server(const fs::path& data_dir) const
{
    std::ifstream file(data_dir / "postmaster.pid");
    long pid = 0;
    if (!(file >> pid) || pid <= 0) return;
    if (!base::process_runs(static_cast<pid_t>(pid))) return;
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
    const auto log = room_for_log(member_);
    bool mapped = std::any_of(options_.tablespaces.begin(), options_.tablespaces.end(),
                              [&](const auto& one) { return one.first.first == member_.member; });
    if (mapped) {
        for (const auto& [oid, size] : tablespace_sizes(context_.storage(), member_.backup)) {
            auto part = std::min(size, rest);
            rest -= part;
            needs.push_back({tablespace(oid), part, member_.member, log});
        }
    }
    needs.push_back({folder_, rest + kHeadroom, member_.member, log});
    return needs;
}

bool MemberRestore::is_same_restore(const RestoreState& stored) const
{
    return stored.repository == state_.repository && stored.group == state_.group &&
           stored.member == state_.member && stored.mark == state_.mark &&
           stored.target == state_.target;
}

/// An unfinished restore to the same mark, with or without --force.
bool MemberRestore::continues(const std::optional<RestoreState>& stored) const
{
    return stored && is_same_restore(*stored) &&
           (takes_up_again_ || stored->phase != RestorePhase::handed_over);
}

bool MemberRestore::continues() const
{
    return continues(known_state(folder_));
}

bool MemberRestore::will_claim() const
{
    if (options_.scratch || (options_.joint && !options_.joint->opening)) return false;
    auto stored = known_state(folder_);
    return !continues(stored) || stored->phase < RestorePhase::claimed;
}

std::optional<RestorePhase> MemberRestore::phase_here() const
{
    auto stored = known_state(folder_);
    return stored && is_same_restore(*stored) ? std::optional(stored->phase) : std::nullopt;
}

std::vector<Decision> MemberRestore::decisions_here() const
{
    auto stored = known_state(folder_);
    if (!stored || !is_same_restore(*stored)) return {};
    if (options_.force && !continues(stored)) return {};
    return stored->decisions;
}

std::size_t MemberRestore::kept_here() const
{
    auto stored = known_state(folder_);
    if (!stored || !is_same_restore(*stored)) return 0;
    return static_cast<std::size_t>(
        std::count_if(stored->decisions.begin(), stored->decisions.end(),
                      [](const Decision& one) { return one.action == kKept; }));
}

bool MemberRestore::would_settle_more() const
{
    auto stored = known_state(folder_);
    if (!stored || !is_same_restore(*stored) || !options_.settle) return false;
    return std::any_of(stored->decisions.begin(), stored->decisions.end(),
                       [&](const Decision& decision) {
                           return decision.action == kKept &&
                                  options_.decisions.contains({member_.member, decision.gid});
                       });
}

void MemberRestore::refuse_other_restore(const RestoreState& stored) const
{
    if (is_same_restore(stored))
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
void MemberRestore::require_extensions()
{
    if (!options_.preload.empty()) return;
    const auto& managers = needs().extension_managers;
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

/// What belongs to a restore over several hosts is opened with them only; and what is being opened
/// by itself is no part of one.
void MemberRestore::refuse_other_part(const RestoreState& stored) const
{
    bool closed = stored.phase <= RestorePhase::at_mark;
    if (stored.joint != 0 && !options_.joint)
        throw Error{Code::target_not_empty,
                    fmt::format("{} belongs to a restore over several hosts (restore-{})",
                                folder_.string(), stored.joint),
                    {.hint = "go on with it: --open when all its members are there, --only " +
                             member_.member + " before; or give this copy up with --discard"}};
    if (!options_.joint) return;
    auto number = options_.joint->number;
    bool other = stored.joint == 0 || (number != 0 && stored.joint != number);
    if (other && !closed)
        throw Error{Code::target_not_empty,
                    fmt::format("{} is being opened by another restore already ({})",
                                folder_.string(), phase_name(stored.phase)),
                    {.hint = "go on with that one, without --only, or give it up with --discard"}};
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
        refuse_other_part(*stored);
        context_.progress.note(
            fmt::format("{} goes on from phase '{}'", member_.member, phase_name(stored->phase)));
    } else {
        if (stored && !options_.force) refuse_other_restore(*stored);
        refuse_occupied();
    }
    target_->preflight();
    if (continues(stored) && stored->phase >= RestorePhase::settled)
        target_->check_hand_over(hand_over_options());
    else if (options_.as_production)
        require_essentials(member_);
    if (auto warning = missing_configuration(member_)) warnings.push_back(std::move(*warning));
    for (auto& warning : foreseen_collations(member_.backup.value.facts.collation_versions))
        warnings.push_back(member_.member + ": " + warning);
    require_extensions();
    for (const auto& warning : needs().warnings)
        warnings.push_back(member_.member + ": " + warning);
    for (const auto& created : needs().tablespaces)
        if (created.start < member_.target.offset && !state_.tablespaces.contains(created.oid))
            context_.progress.note(fmt::format(
                "{}: tablespace {} was created after the base backup, in production at {}; it goes "
                "to {}",
                member_.member, created.oid, created.location,
                created_place(created.oid).native()));
    return warnings;
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
    bool opened = stored && (stored->opened || stored->phase == RestorePhase::handed_over);
    if (opened && !options_.force)
        throw Error{Code::target_not_empty,
                    folder_.string() + " was handed over: it may hold new work by now",
                    {.hint = "add --force to remove it all the same; where the group's restore was "
                             "interrupted, the same restore command goes on"}};
}

namespace {

/// Why the repository takes no new object; asked by beginning one that is never finished, so that
/// nothing is to be seen of it.
std::optional<Error> refusal_to_write(const Context& context, const std::string& group)
{
    try {
        context.storage().create(fmt::format("groups/{}/probe", group));
    } catch (const Error& error) {
        return error;
    }
    return std::nullopt;
}

} // namespace

std::optional<std::string>
foreseen_unclaimed(const Context& context, const repo::RestorePlan& plan,
                   const std::vector<std::unique_ptr<MemberRestore>>& members)
{
    if (std::none_of(members.begin(), members.end(),
                     [](const auto& member) { return member->will_claim(); }))
        return std::nullopt;
    auto refusal = refusal_to_write(context, plan.group);
    if (!refusal) return std::nullopt;
    return fmt::format("the repository cannot be written to, so it will not know of the new "
                       "timelines, and another restore may take the same numbers ({})",
                       refusal->what());
}

std::vector<std::string> preflight(const Context& context, const repo::RestorePlan& plan,
                                   const RestoreOptions& options,
                                   const std::vector<std::unique_ptr<MemberRestore>>& members)
{
    check_places(plan, options);
    std::vector<std::string> warnings;
    std::vector<SpaceNeed> needs;
    for (const auto& member : members) {
        for (auto& warning : member->preflight())
            warnings.push_back(std::move(warning));
        for (auto& need : member->space_needs())
            needs.push_back(std::move(need));
    }
    for (auto& warning : require_room(needs))
        warnings.push_back(std::move(warning));
    if (!options.joint) return warnings;
    if (auto refusal = refusal_to_write(context, plan.group))
        throw Error{refusal->code(),
                    fmt::format("the repository cannot be written to, and the hosts of a restore "
                                "meet there: {}",
                                refusal->what()),
                    {.hint = "make it writable for this account; all members on one host, or one "
                             "with --only MEMBER --alone, are restored without that"}};
    return warnings;
}

} // namespace tidemark::job
