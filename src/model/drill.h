#pragma once

#include "base/clock.h"
#include "model/ids.h"
#include "model/log_position.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tidemark::model {

/// What brought a mark up and looked at it.
enum class DrillKind : std::uint8_t {
    drill,   ///< practice: restored to a scratch folder, looked at, taken down
    restore, ///< the real thing, handed over
};

enum class CheckResult : std::uint8_t { passed, failed, skipped };

/// One thing that was looked at.
struct DrillCheck {
    std::string name = {};    ///< "recovery", "in_doubt", "amcheck", "checksums", "assertion"
    std::string subject = {}; ///< of an assertion: its name
    std::string member = {};  ///< empty: the whole group
    CheckResult result = CheckResult::passed;
    std::string text = {};                 ///< one line for people
    std::vector<std::string> details = {}; ///< lines of what is wrong; faults: the first 100
    std::optional<std::string> value = {}; ///< what an assertion returned; a sum for sums
    base::Duration took{};
    friend bool operator==(const DrillCheck&, const DrillCheck&) = default;
};

/// When who did what, for the picture.
struct DrillStage {
    std::string member = {}; ///< empty: the whole group
    std::string name = {};   ///< "write files", "replay log", ...
    base::Duration start{};  ///< after the drill's start
    base::Duration took{};
    friend bool operator==(const DrillStage&, const DrillStage&) = default;
};

/// What was done about one in-doubt transaction.
struct DrillDecision {
    std::string member = {};
    std::string gid = {};
    std::string global_id = {};
    std::string database = {};
    std::string action = {}; ///< "commit", "rollback", "kept"
    std::string evidence = {};
    bool differs_from_production = false;
    friend bool operator==(const DrillDecision&, const DrillDecision&) = default;
};

struct DrillMember {
    std::string name = {};
    Number backup = 0;
    std::uint64_t bytes = 0;     ///< of files written
    std::uint64_t log_bytes = 0; ///< replayed
    LogPosition target = {};
    LogPosition reached = {};
    std::string evidence = {}; ///< the server's own words about where it stopped
    friend bool operator==(const DrillMember&, const DrillMember&) = default;
};

/// The report of one drill, or of one restore as far as it proves something.
struct Drill {
    DrillKind kind = DrillKind::drill;
    std::string group = {};
    std::string host = {};
    Number mark = 0; ///< 0: a moment that nobody recorded, at `mark_time`
    std::string mark_name = {};
    base::Time mark_time = {};
    base::Time started = {};
    base::Time ended = {};
    /// From the start until all members were open (on private sockets) and settled, without the
    /// clearing away of what a killed drill left; absent when it did not come that far.
    std::optional<base::Duration> restore_took = {};
    std::vector<DrillMember> members = {};
    std::vector<DrillStage> stages = {};
    std::vector<DrillCheck> checks = {};
    std::vector<DrillDecision> decisions = {};
    std::vector<std::string> warnings = {};
    /// What the mark holds half there because production left it so (rules.md 8, 13): a sentence
    /// each. The copy is as production was then, which is what a proof says and all it says.
    std::vector<std::string> half_there = {};
    std::string failure = {}; ///< why it did not come to its end; empty: it did
    bool whole_group = true;  ///< all members of the mark took part
    friend bool operator==(const Drill&, const Drill&) = default;

    bool passed() const;        ///< it came to its end and no check failed
    bool kept_prepared() const; ///< something in doubt was left to an operator
    /// It makes its mark proven: all members brought up, every check passed, nothing left in doubt.
    bool proves() const { return passed() && whole_group && !kept_prepared(); }
    /// What stood the test on every member it was tried on, in the order of the checks.
    std::vector<std::string> proven_by() const;
    std::vector<std::string> skipped() const;
};

/// How and when a mark was proven.
struct Proof {
    Number mark = 0; ///< 0: a moment that nobody recorded
    base::Time mark_time = {};
    Number drill = 0; ///< the newest drill that proves it
    DrillKind kind = DrillKind::drill;
    base::Time at = {};
    base::Duration restore_took{};
    std::vector<std::string> by = {};
    std::vector<std::string> skipped = {};
    std::vector<std::string> half_there = {};
    friend bool operator==(const Proof&, const Proof&) = default;
};

/// Absent when the drill proves nothing.
std::optional<Proof> proof_of(const Drill& drill, Number number);

std::string_view drill_kind_name(DrillKind kind);
std::string_view check_result_name(CheckResult result);

} // namespace tidemark::model
