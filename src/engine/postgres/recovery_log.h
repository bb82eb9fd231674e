#pragma once

#include "base/error.h"
#include "base/subprocess.h"
#include "engine/restore_target.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidemark::engine::postgres {

/// Reads the log of a server that recovers (messages in English: lc_messages is C) and keeps what
/// matters. Pure: text in, facts out.
class RecoveryLog {
public:
    explicit RecoveryLog(std::uint32_t wal_segment_size) : segment_size_(wal_segment_size) {}

    /// Text in any portions; only whole lines count.
    void feed(std::string_view text);

    /// How far replay has come, as the server told; 0 at first.
    model::Offset replayed() const { return replayed_; }
    /// "recovery stopping before WAL location (LSN) ..." and its siblings, without the prefix.
    const std::optional<std::string>& stop_line() const { return stop_line_; }
    /// The position named in stop_line(), where it names one.
    const std::optional<model::Offset>& stopped_at() const { return stopped_at_; }
    bool shut_down_at_target() const { return shut_down_at_target_; }
    /// FATAL, PANIC and ERROR lines in their order, with their details; not those that turn a
    /// client away.
    const std::vector<std::string>& problems() const { return problems_; }
    /// Why the reader of the log gave up, e.g. "invalid record length at 0/3000148: ...".
    const std::string& reader_complaint() const { return reader_complaint_; }

private:
    void line(std::string_view line);

    std::uint32_t segment_size_;
    std::string rest_;
    model::Offset replayed_ = 0;
    std::optional<std::string> stop_line_;
    std::optional<model::Offset> stopped_at_;
    bool shut_down_at_target_ = false;
    bool turned_away_ = false; ///< somebody; nothing else was the last problem
    std::vector<std::string> problems_;
    std::string reader_complaint_;
};

/// What words of a server tell of the reason why it ended; nothing when we do not know them.
struct KnownReason {
    base::Code code = base::Code::failed;
    std::string_view hint;
};
std::optional<KnownReason> known_reason(std::string_view said);

/// What went wrong with a recovery that did not end at its goal: the server's own words and the
/// next step.
base::Error recovery_error(const RecoveryLog& log, const RecoveryGoal& goal, const base::Exit& exit,
                           const std::string& log_file);

/// "position 0/3000148", "time 2026-...", "restore point x".
std::string describe_goal(const RecoveryGoal& goal);

} // namespace tidemark::engine::postgres
