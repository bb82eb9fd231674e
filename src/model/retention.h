#pragma once

#include "base/clock.h"
#include "model/ids.h"
#include "model/intent.h"
#include "model/log_position.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace tidemark::model {

// What is kept and what goes: a pure rule over what a repository holds. docs/guide/retention.md
// says the same for operators. Histories, claims and identities always stay: they are tiny, and
// keep a timeline's number from being used twice.

struct RetentionPolicy {
    int keep_days = 14;
    base::Duration keep_all = std::chrono::hours{48}; ///< every mark younger than this
    /// A base backup that no set names: what a full backup left that failed for another member.
    base::Duration keep_unclosed = std::chrono::hours{24};
    /// One for which an older one stands in.
    base::Duration keep_repeated = std::chrono::hours{1};
    base::Duration keep_hourly = std::chrono::hours{24 * 30}; ///< then one an hour, then one a day
    std::size_t runs = 100;   ///< so many of the newest stay whatever their age
    std::size_t drills = 100; ///< the same; and what proves a mark that stays
};

/// What a restore of one member to a mark reads.
struct RetentionNeed {
    std::optional<Number> backup; ///< absent: the member cannot be restored there
    std::vector<LogRange> log;    ///< from the backup's start (or what the proof needs) to log_end
};

struct RetentionMark {
    Number number = 0;
    base::Time created;             ///< of a moment: when it was recorded
    std::optional<Number> previous; ///< the mark whose table its proof continues
    bool named = false;
    bool restorable = false;
    bool moment = false;                             ///< somebody recorded a time of the past
    std::map<std::string, RetentionNeed> needs = {}; ///< by member
};

struct RetentionSet {
    Number number = 0;
    Number mark = 0;
    std::map<std::string, Number> backups = {};               ///< by member
    std::map<std::string, std::set<std::string>> pieces = {}; ///< keys of log pieces, by member
};

struct RetentionBackup {
    Number number = 0;
    base::Time ended;
    /// An older one of no set, too, from which every mark can be restored that can be from this
    /// one. What marks need names that one, so where full backups fail for days two of each
    /// unbroken stretch of log are stored at most, and not one for each try.
    std::optional<Number> stand_in = {};
};

struct RetentionPiece {
    std::string key;
    LogRange range;
    base::Time stored;   ///< by the store's clock
    bool joined = false; ///< named by the member's newest joined catalogue
};

struct RetentionMember {
    std::vector<RetentionBackup> backups = {};
    std::vector<RetentionPiece> pieces = {};
    History history{};                       ///< the one that the newest mark follows
    std::optional<LogPosition> settled = {}; ///< where the log of the newest set that names it ends
    bool left = false; ///< it belongs to the group no more: nothing of it stays for its own sake
};

struct RetentionEvent {
    Number number = 0;
    base::Time at;
    bool failed = false;
    std::optional<Number> proves = {}; ///< of a drill: this mark; 0: a moment nobody recorded
};

/// A job that is reading: what it said it reads stays until it ends.
struct RetentionReader {
    std::string why;
    bool everything = false; ///< what it reads is not known
    std::optional<Number> mark = {};
    std::map<std::string, IntentReads> reads = {}; ///< by member
};

struct RetentionInput {
    base::Time now;
    RetentionPolicy policy = {};
    std::vector<RetentionMark> marks = {}; ///< any order
    std::vector<RetentionSet> sets = {};
    std::map<std::string, RetentionMember> members = {};
    std::vector<RetentionEvent> runs = {};
    std::vector<RetentionEvent> drills = {};
    std::set<Number> proven = {};            ///< marks that a drill or a restore brought up
    std::map<Number, std::string> held = {}; ///< marks that a hold wants
    std::vector<RetentionReader> readers = {};
    /// A full backup is being taken, or not all sets are known: a set may still name any backup.
    bool closing = false;
};

struct Fate {
    bool stays = false;
    std::string why; ///< for people, never empty
};

struct MemberFates {
    std::map<Number, Fate> backups;
    std::map<std::string, Fate> pieces; ///< by key
    std::vector<LogRange> given_up;     ///< log that no piece will hold any more; by epoch, start
};

struct RetentionPlan {
    std::map<Number, Fate> marks;
    std::map<Number, Fate> sets;
    std::map<Number, Fate> runs;
    std::map<Number, Fate> drills;
    std::map<std::string, MemberFates> members;
};

/// Keeps whatever any mark of the policy's days needs, the newest restorable set and the newest
/// proven one, holds, and what is being read. While no mark is restorable, no base backup goes but
/// those for which an older one stands in, and no log.
RetentionPlan plan_retention(const RetentionInput& input);

} // namespace tidemark::model
