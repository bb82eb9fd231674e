#pragma once

#include "base/clock.h"
#include "model/ids.h"
#include "model/log_position.h"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

/// A restore whose members are brought up on several hosts: what the hosts tell each other, through
/// the repository. Nobody needs another host: the mark holds the verdicts; this only says who has
/// come how far.
namespace tidemark::model {

enum class JointStage : std::uint8_t {
    working = 1, ///< begun; nothing was heard since
    failed,      ///< ended before it came to the mark; the same command goes on
    at_mark,     ///< recovered to exactly the mark's position, and closed
    opened,      ///< settled and handed over
};
/// "working", "failed", "at_mark", "opened"
std::string_view stage_name(JointStage stage);

/// What one host said last of the member that it restores.
struct JointReport {
    JointStage stage = JointStage::working;
    std::string host = {};
    std::string folder = {};  ///< DIR/MEMBER there
    std::string ticket = {};  ///< random; the state file in that folder holds it, too
    std::string program = {}; ///< version
    base::Time at = {};
    std::string text = {}; ///< evidence of the position, or why it failed
    // Since at_mark:
    Number backup = 0;
    std::uint64_t bytes = 0;
    std::uint64_t log_bytes = 0;
    LogPosition target = {};
    LogPosition reached = {};
    bool damaged = false;   ///< the backup holds pages that were damaged when it was taken
    std::uint64_t kept = 0; ///< since opened: left prepared
    bool ready() const { return stage >= JointStage::at_mark; }
    friend bool operator==(const JointReport&, const JointReport&) = default;
};

/// What is to become of a branch in doubt of which the mark does not know: the same on every host.
struct JointDecision {
    std::string member = {};
    std::string gid = {};
    std::string global_id = {};
    bool commit = false;
    std::string by = {}; ///< host on which it was said
    friend bool operator==(const JointDecision&, const JointDecision&) = default;
};

struct JointRestore {
    Number number = 0; ///< never used again
    Number mark = 0;
    base::Time begun = {};
    std::string host = {};                           ///< on which it was begun
    std::vector<std::string> members = {};           ///< all of the mark
    std::map<std::string, JointReport> reports = {}; ///< of those that were begun
    std::vector<JointDecision> decisions = {};
    /// What the restored members' decision tables hold (decision_table.h), for the other hosts.
    std::map<std::string, std::set<std::string>> rows = {};
    std::optional<base::Time> ended = {};
    bool given_up = false; ///< ended without being opened everywhere
    bool is_open() const { return !ended; }
    /// Members that do not stand at the mark yet.
    std::vector<std::string> missing() const;
    bool all_opened() const;
    friend bool operator==(const JointRestore&, const JointRestore&) = default;
};

/// A generation of a group's book of such restores. The highest one counts.
struct JointRestores {
    std::string group = {};
    Number last = 0;                         ///< highest number given so far
    std::vector<JointRestore> restores = {}; ///< by number; all open ones, and some that have ended
    JointRestore* find(Number number);
    friend bool operator==(const JointRestores&, const JointRestores&) = default;
};
/// So many that have ended stay in the book.
inline constexpr std::size_t kEndedRestores = 16;
/// Drops older ones that have ended.
void trim(JointRestores& book);

/// "restore-3"
std::string restore_id(Number number);

/// Members that a host is about to bring to a mark.
struct Enlistment {
    Number mark = 0;
    /// The mark was not named: it is only the newest. Then an open restore to another one is not
    /// passed over silently.
    bool newest = false;
    std::vector<std::string> all_members = {}; ///< of the mark
    std::map<std::string, JointReport> reports = {};
    /// The tickets found in the folders.
    std::map<std::string, std::string> known = {};
    /// This copy stands for the member from now on, whoever reported another one before.
    bool instead = false;
};

/// Enters the members into the open restore to their mark, or begins one. There is at most one open
/// restore to a mark, and one copy of each member in it. Returns its number. Error{usage} that says
/// what stands in the way and what to say instead.
Number enlist(JointRestores& book, const Enlistment& enlistment);

/// Adds decisions. Error{usage} when one contradicts what was said before, on this host or another,
/// of the same distributed transaction.
void add_decisions(JointRestore& restore, const std::vector<JointDecision>& decisions);

} // namespace tidemark::model
