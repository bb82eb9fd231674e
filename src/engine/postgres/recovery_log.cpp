#include "engine/postgres/recovery_log.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/format.h>

namespace tidemark::engine::postgres {

namespace {

using base::Code;
using base::Error;

constexpr std::size_t kProblemLimit = 50;

/// The text between `before` and the next quote or blank.
std::string_view after(std::string_view line, std::string_view before)
{
    auto at = line.find(before);
    if (at == std::string_view::npos) return {};
    line.remove_prefix(at + before.size());
    return line.substr(0, line.find_first_of("\" ,;"));
}

std::optional<std::uint64_t> hex(std::string_view text)
{
    std::uint64_t value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

/// Start of the segment with this file name; empty for history files.
std::optional<model::Offset> segment_start(std::string_view name, std::uint32_t segment_size)
{
    if (name.size() != 24) return std::nullopt;
    auto high = hex(name.substr(8, 8));
    auto low = hex(name.substr(16));
    if (!high || !low) return std::nullopt;
    return (*high << 32) + *low * segment_size;
}

/// "starting up", "not accepting connections", ...: who asks too early, as we do until it answers,
/// is told so. It is nobody's fault, and would bury what is.
constexpr std::string_view kTurnedAway = "the database system is ";

/// What the reader of the log says when it stops (access/xlogreader.c).
constexpr std::array<std::string_view, 12> kReaderWords = {
    "invalid record length at",
    "invalid record offset at",
    "record with incorrect prev-link",
    "incorrect resource manager data checksum",
    "invalid resource manager ID",
    "invalid magic number",
    "unexpected pageaddr",
    "there is no contrecord flag",
    "invalid contrecord length",
    "record with invalid length",
    "record length",
    "out-of-sequence timeline ID"};

bool contains(std::string_view line, std::string_view word)
{
    return line.find(word) != std::string_view::npos;
}

struct Reason {
    std::string_view words; ///< of the server
    Code code;
    std::string_view hint;
};

constexpr std::string_view kHostHint =
    "this host does not let the server have what it asks for: see its words (kernel.shm*, "
    "kernel.sem, memory, limits of processes), then run the same command again";
constexpr std::string_view kSettingHint =
    "the server does not take a setting that we give it: see its words; `--bin-dir` names another "
    "installation";
constexpr std::string_view kAccessHint =
    "give the server's user (`--user`) the right to what it names, then run the same command again";
constexpr std::string_view kLibraryHint =
    "install the extension's library on this host, or leave it out of the preload libraries";
constexpr std::string_view kHelperHint =
    "let the server's user run the program that fetches log (restore_command in recover.conf, in "
    "the member's folder tidemark): its disk may be mounted noexec, or a folder above it closed";
constexpr std::string_view kStartHint =
    "the log at the backup's start is missing: run `tidemark verify`";
constexpr std::string_view kHistoryHint =
    "the backup and the mark belong to different histories: choose a backup of the mark's own";
constexpr std::string_view kPagesHint =
    "the base backup and the log do not fit together: run `tidemark verify`, or choose an earlier "
    "mark";

/// The first that fits decides. What says that the log or the backup does not lead to the goal is
/// point_not_reachable; what this host lacks is member_not_ready; what is in neither is no verdict
/// about the repository.
constexpr auto kReasons = std::to_array<Reason>({
    {"pre-existing shared memory block", Code::failed,
     "a server that was killed has not ended yet; the same command tries again"},
    // These two say "No space left on device" where a limit of the kernel is reached.
    {"shared memory", Code::member_not_ready, kHostHint},
    {"could not create semaphores", Code::member_not_ready, kHostHint},
    {"No space left on device", Code::out_of_space,
     "free some space and run the same command again"},
    {"maximum number of prepared transactions reached", Code::not_restorable,
     "the member ran with more max_prepared_transactions than its backup and the indexes of its "
     "log say: run `tidemark reindex`, then the same command again"},
    {"could not access file", Code::member_not_ready, kLibraryHint},
    {"could not load library", Code::member_not_ready, kLibraryHint},
    {"resource manager with ID", Code::member_not_ready,
     "the log holds records of an extension: name its library among the preload libraries"},
    {"Cannot allocate memory", Code::member_not_ready, kHostHint},
    {"could not fork", Code::member_not_ready, kHostHint},
    {"must be at least twice", Code::member_not_ready, kSettingHint},
    {"invalid value for parameter", Code::member_not_ready, kSettingHint},
    {"outside the valid range for parameter", Code::member_not_ready, kSettingHint},
    {"unrecognized configuration parameter", Code::member_not_ready, kSettingHint},
    {"contains errors", Code::member_not_ready, kSettingHint},
    {"database files are incompatible with server", Code::member_not_ready,
     "the member's server was built in another way: name such a one with `--bin-dir`"},
    {"Permission denied", Code::member_not_ready, kAccessHint},
    {"has wrong ownership", Code::member_not_ready, kAccessHint},
    {"has invalid permissions", Code::member_not_ready, kAccessHint},
    {"is before consistent recovery point", Code::point_not_reachable,
     "the mark lies before the end of this base backup: choose a later mark or an earlier backup"},
    {"is not a child of this server's history", Code::point_not_reachable, kHistoryHint},
    {"does not contain minimum recovery point", Code::point_not_reachable, kHistoryHint},
    {"unexpected timeline ID", Code::point_not_reachable, kHistoryHint},
    {"recovery target timeline", Code::point_not_reachable, kHistoryHint},
    {"could not locate required checkpoint record", Code::point_not_reachable, kStartHint},
    {"could not locate a valid checkpoint record", Code::point_not_reachable, kStartHint},
    {"could not find redo location", Code::point_not_reachable, kStartHint},
    {"WAL ends before", Code::point_not_reachable,
     "the log ends before the base backup is consistent: run `tidemark verify`"},
    {"wal_level=minimal", Code::point_not_reachable,
     "production wrote log that cannot be replayed: choose a mark before that, or a later backup"},
    {"WAL contains references to invalid pages", Code::point_not_reachable, kPagesHint},
    {"invalid page in block", Code::point_not_reachable, kPagesHint},
    {"from archive: command not executable", Code::member_not_ready, kHelperHint},
    {"from archive: command not found", Code::member_not_ready, kHelperHint},
    {"could not restore file", Code::not_restorable,
     "the repository could not deliver log it should hold: run `tidemark verify`"},
    {"recovery ended before configured recovery target was reached", Code::point_not_reachable,
     "the log ends or is damaged before the mark: run `tidemark verify`, or choose an earlier "
     "mark"},
});

} // namespace

void RecoveryLog::feed(std::string_view text)
{
    rest_ += text;
    std::size_t from = 0;
    for (auto end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n', from)) {
        line(std::string_view(rest_).substr(from, end - from));
        from = end + 1;
    }
    rest_.erase(0, from);
}

void RecoveryLog::line(std::string_view line)
{
    // "2026-11-22 17:00:00.000 UTC [123] LOG:  text"
    auto level_at = line.find(":  ");
    auto level_from = level_at == std::string_view::npos ? level_at : line.rfind(' ', level_at);
    auto level = level_from == std::string_view::npos
                     ? std::string_view{}
                     : line.substr(level_from + 1, level_at - level_from - 1);
    auto text = level.empty() ? line : line.substr(level_at + 3);

    const bool problem = level == "FATAL" || level == "PANIC" || level == "ERROR";
    if (problem) turned_away_ = text.starts_with(kTurnedAway);
    const bool more_of_it = (level == "HINT" || level == "DETAIL") && !problems_.empty();
    if ((problem || more_of_it) && !turned_away_) {
        if (problems_.size() < kProblemLimit)
            problems_.push_back(fmt::format("{}: {}", level, text));
    } else if (text.starts_with("recovery stopping ")) {
        stop_line_ = std::string(text);
        stopped_at_ = model::parse_offset(after(text, "WAL location (LSN) \""));
    } else if (text.starts_with("shutdown at recovery target")) {
        shut_down_at_target_ = true;
    } else if (text.starts_with("restored log file \"")) {
        auto start = segment_start(after(text, "restored log file \""), segment_size_);
        replayed_ = std::max(replayed_, start.value_or(0));
    } else if (text.starts_with("redo in progress")) {
        replayed_ =
            std::max(replayed_, model::parse_offset(after(text, "current LSN: ")).value_or(0));
    } else if (text.starts_with("redo done at ")) {
        replayed_ =
            std::max(replayed_, model::parse_offset(after(text, "redo done at ")).value_or(0));
    } else if (std::any_of(kReaderWords.begin(), kReaderWords.end(),
                           [&](auto word) { return contains(text, word); })) {
        reader_complaint_ = std::string(text);
    } else if (contains(text, "No space left on device")) {
        problems_.push_back(std::string(text));
    }
}

std::string describe_goal(const RecoveryGoal& goal)
{
    if (goal.position) return fmt::format("position {}", model::format_offset(*goal.position));
    if (goal.time) return fmt::format("time {}", base::format_time_human(*goal.time));
    return fmt::format("restore point {}", goal.name.value_or(""));
}

std::optional<KnownReason> known_reason(std::string_view said)
{
    for (const auto& reason : kReasons) {
        if (contains(said, reason.words)) return KnownReason{reason.code, reason.hint};
    }
    return std::nullopt;
}

base::Error recovery_error(const RecoveryLog& log, const RecoveryGoal& goal, const base::Exit& exit,
                           const std::string& log_file)
{
    std::string said;
    for (const auto& problem : log.problems()) {
        if (!said.empty()) said += "; ";
        said += problem;
        if (said.size() > 600) break;
    }
    if (said.empty()) said = exit.describe();
    if (!log.reader_complaint().empty()) said += fmt::format(" (last: {})", log.reader_complaint());
    auto message =
        fmt::format("recovery did not reach {}: the server says: {}", describe_goal(goal), said);
    if (auto reason = known_reason(said))
        return {reason->code, message, {.hint = std::string(reason->hint)}};
    return {
        Code::failed,
        message,
        {.hint = fmt::format("the server's log is {}; the same command tries again", log_file)}};
}

} // namespace tidemark::engine::postgres
