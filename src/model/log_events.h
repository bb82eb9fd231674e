#pragma once

#include "base/clock.h"
#include "model/log_position.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tidemark::model {

enum class EventKind : std::uint8_t { prepare = 1, commit = 2, rollback = 3 };

/// A record of a distributed transaction in a member's log: prepare, or the end of a prepared one.
struct TransactionEvent {
    EventKind kind = EventKind::prepare;
    Epoch epoch = 0;
    Offset start = 0;           ///< first byte of the record
    Offset end = 0;             ///< where the next record may begin (aligned)
    std::uint32_t xid = 0;      ///< the two-phase xid, also on commit and rollback
    std::string gid;            ///< always on prepare; on the others only where the log carries it
    base::Time at;              ///< prepare: prepared_at; otherwise the record's time
    std::uint32_t database = 0; ///< prepare: database oid
    std::uint32_t owner = 0;    ///< prepare: role oid
    friend bool operator==(const TransactionEvent&, const TransactionEvent&) = default;
};

/// A named restore point found in the log.
struct RestorePointEvent {
    Epoch epoch = 0;
    Offset start = 0;
    Offset end = 0;
    base::Time at;
    std::string name;
    friend bool operator==(const RestorePointEvent&, const RestorePointEvent&) = default;
};

/// Time of one commit or abort record, kept sparsely: enough to find a position by time.
struct TimePoint {
    Offset start = 0; ///< of the record
    base::Time at;
    friend bool operator==(const TimePoint&, const TimePoint&) = default;
};

/// A change in the log that limits what can be done with it.
enum class LogNoticeKind : std::uint8_t {
    parameter_change = 1,  ///< new values of the settings that replay needs
    wal_level_minimal = 2, ///< breaks the chain
    end_of_recovery = 3,
    unknown_resource_manager = 4,
    custom_resource_manager = 5, ///< restore needs its extension preloaded; detail is the id
    tablespace_created = 6,      ///< replay would use the folder it names; detail is "OID LOCATION"
};
struct LogNotice {
    LogNoticeKind kind = LogNoticeKind::parameter_change;
    Offset start = 0;
    std::string detail;
    friend bool operator==(const LogNotice&, const LogNotice&) = default;
};

/// Log that is stored and that the program which made the index could not read: what it holds is
/// not in the index. A newer program's `reindex` may know better.
struct UnreadLog {
    Offset from = 0; ///< within the range
    Offset to = 0;
    std::string why; ///< a sentence
    friend bool operator==(const UnreadLog&, const UnreadLog&) = default;
};

/// What one range of log holds. A record belongs to the range in which it ends (rules.md 12).
struct LogIndex {
    LogRange range;
    std::optional<Offset> first_record; ///< start of the first record that ends here
    Offset last_record_end = 0;         ///< end of the last complete record; 0 when none ends here
    std::optional<Offset> unfinished;   ///< start of the record that goes on in the next piece
    std::vector<TransactionEvent> transactions;
    std::vector<RestorePointEvent> restore_points;
    std::vector<TimePoint> times; ///< at most one each 64 KiB of log, and the last of the range
    std::vector<LogNotice> notices;
    std::vector<UnreadLog> unread; ///< ascending; empty nearly always
    std::uint64_t records = 0;
    /// One-phase and COMMIT PREPARED, without those by which we ourselves made the server flush.
    std::uint64_t commits = 0;
    std::uint64_t rollbacks = 0;
    std::uint64_t full_page_images = 0;
    friend bool operator==(const LogIndex&, const LogIndex&) = default;
};

} // namespace tidemark::model
