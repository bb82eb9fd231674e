#pragma once

#include "model/ids.h"
#include "model/log_position.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tidemark::job {

/// How far one member's restore has come (rules.md 26). Each phase is entered only when the one
/// before is durable.
enum class RestorePhase : std::uint8_t {
    writing = 1, ///< files are being written
    written,     ///< all files are there
    at_mark,     ///< recovered to exactly the mark's position and shut down there
    claimed,     ///< the new timeline has its number, which is taken in the repository
    promoted,    ///< writable on its private socket
    compared,    ///< what is prepared is what the mark says
    settled,     ///< in-doubt transactions have their verdicts
    handed_over, ///< entered when all members have been opened
};
std::string_view phase_name(RestorePhase phase);

/// One in-doubt transaction and what was done about it.
struct Decision {
    std::uint32_t xid = 0;
    std::string gid;
    std::string global_id;
    std::string database;
    std::string action; ///< "commit", "rollback", "kept", "by hand" (finished by somebody else)
    std::string evidence;
    bool differs_from_production = false;
    friend bool operator==(const Decision&, const Decision&) = default;
};

/// The state file of one member, DIR/MEMBER/tidemark/state.json.
struct RestoreState {
    std::string repository; ///< its id
    std::string group;
    std::string member;
    model::Number mark = 0; ///< 0: positions that no mark names
    model::Number backup = 0;
    model::LogPosition target;
    RestorePhase phase = RestorePhase::writing;
    model::Epoch claimed = 0;
    std::string reached; ///< evidence of phase 1
    /// Where each tablespace's files go, by oid: ours to empty.
    std::map<std::uint32_t, std::string> tablespaces = {};
    /// From phase compared on: what was in doubt at the mark, written before it is carried out.
    std::vector<Decision> decisions = {};
    /// Has been handed over once, so it may hold new work, whatever the phase.
    bool opened = false;
    /// Part of a restore over several hosts: its number, and what tells this copy from others.
    model::Number joint = 0;
    std::string ticket = {};
    /// Why the repository does not know of `claimed`; empty when it does.
    std::string unclaimed = {};
    /// Objects of base backups that turned out to be damaged, so that another one is taken: by key,
    /// with the sentence that was said about it.
    std::map<std::string, std::string> damaged = {};
    /// What was to be told of decision tables: they are not asked again when a member was opened.
    std::vector<std::string> table_warnings = {};
    friend bool operator==(const RestoreState&, const RestoreState&) = default;
};

/// Empty when there is no state file; Error{failed} when it cannot be understood.
std::optional<RestoreState> load_restore_state(const std::filesystem::path& file);
/// Replaces the file durably.
void save_restore_state(const std::filesystem::path& file, const RestoreState& state);

} // namespace tidemark::job
