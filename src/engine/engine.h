#pragma once

#include "engine/backup_source.h"
#include "engine/log_source.h"
#include "engine/restore_target.h"
#include "model/identity.h"
#include "model/log_events.h"

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tidemark::engine {

/// Another member of the group, whose log may lie on the same disk.
struct Neighbour {
    std::string url;
    std::optional<std::filesystem::path> data_dir;
};

struct MemberConfig {
    std::string name;
    std::string url;
    std::optional<std::filesystem::path> data_dir; ///< only where the files can be read directly
    std::string slot;                              ///< name of our replication slot
    /// Connecting and everything up to the first set_deadline() must be done within this; zero:
    /// as long as the engine finds right.
    std::chrono::milliseconds within{0};
    /// More servers of the same member, as `url` may name several, too: whichever of them accepts
    /// writes is the member, the others are its standbys.
    std::vector<std::string> more_urls = {};
    /// A standby that base backups are read from.
    std::optional<std::string> backup_from = {};
    std::vector<Neighbour> neighbours = {}; ///< the rest of the group
};

using Identity = model::Identity;
using PreparedBranch = model::PreparedBranch;

struct SlotState {
    bool exists = false;
    bool active = false;
    bool lost = false;                        ///< invalidated; must be dropped and made again
    std::string wal_status;                   ///< reserved, extended, unreserved, lost
    std::optional<model::Offset> restart;     ///< oldest log the server keeps for us
    std::uint64_t held_bytes = 0;             ///< log behind the slot
    std::optional<std::uint64_t> bound_bytes; ///< max_slot_wal_keep_size; absent = unbounded
    std::optional<std::int64_t> safe_bytes;   ///< until it may be lost; can be negative
    std::optional<std::uint64_t> disk_free;   ///< bytes free beside the log, where we can see it
};

/// Another server that the member's urls name.
struct Standby {
    std::string where; ///< "s0:5432"
    bool reachable = false;
    bool accepts_writes = false; ///< no standby: a second primary, on `epoch`
    model::Epoch epoch = 0;
    std::optional<model::Offset> replayed;
    SlotState slot = {};
    bool slot_made = false;   ///< just now
    std::string problem = {}; ///< empty when all is well; one line
    std::string fix = {};     ///< what to do about it, or empty
};

struct StandbyOrder {
    enum class What { look, keep_log, drop_slot } what = What::look;
    /// keep_log: our slot is made where it is missing, and moved up to here, so that a standby that
    /// is promoted has all log that is not stored, and no more (rules.md 14).
    model::Offset durable = 0;
};

/// A physical slot whose name is one of ours.
struct OwnSlot {
    std::string name;
    bool active = false;
    std::uint64_t held_bytes = 0;
};

enum class CheckState { ok, waiting, failed };

struct Check {
    std::string name; ///< stable, e.g. "wal_level"
    CheckState state = CheckState::ok;
    std::string cause; ///< one line
    std::string fix;   ///< exact command or setting; empty when ok
};

/// A restore point just placed.
struct PlacedPoint {
    model::LogPosition end; ///< end of its record, as the server says
};

/// One member, connected. Used by one thread at a time. Errors: member_unreachable,
/// member_not_ready, identity_mismatch; a lost connection is Error{member_unreachable, transient}.
class Session {
public:
    virtual ~Session() = default;
    /// Calls that are not answered by then fail with member_unreachable; time_point::max() takes it
    /// back. A deadline that passes leaves the session unusable.
    virtual void set_deadline(std::chrono::steady_clock::time_point deadline) = 0;
    virtual Identity identify() = 0;
    /// What stands in the way of backing this member up, one entry per named check.
    virtual std::vector<Check> check() = 0;
    virtual model::LogPosition insert_position() = 0;
    /// Places a named restore point (at most 63 bytes, rules.md 9). Does not flush.
    virtual PlacedPoint place_restore_point(const std::string& name) = 0;
    /// Returns once the server's own log is durable up to `offset`, forcing it if need be.
    virtual void ensure_flushed(model::Offset offset,
                                std::chrono::steady_clock::time_point deadline) = 0;
    virtual base::Time clock() = 0;
    virtual std::vector<PreparedBranch> prepared() = 0;

    virtual SlotState slot() = 0;
    /// Creates our physical slot with its log reserved at once; returns the restart position.
    virtual model::LogPosition create_slot() = 0;
    virtual void drop_slot() = 0;
    /// Looks after the other servers of the member, all at once and for a few seconds at most. What
    /// goes wrong there is told, never thrown.
    virtual std::vector<Standby> standbys(const StandbyOrder&) { return {}; }
    /// All slots on this server that are named as ours are, whichever group they belong to.
    virtual std::vector<OwnSlot> own_slots() { return {}; }

    /// Timeline history file of `epoch` as the server has it; empty for epoch 1 or when it has
    /// none.
    virtual std::optional<std::string> history_file(model::Epoch epoch) = 0;
    /// Streams the log from `from` on a connection of its own. A gap is Error{log_gap}.
    virtual std::unique_ptr<LogSource> open_log(const model::LogPosition& from) = 0;
    /// Starts a base backup on a connection of its own and returns when its start position is
    /// known.
    virtual std::unique_ptr<BackupSource> begin_backup(const BackupOptions& options) = 0;
};

/// Reads a member's log format: bytes in, index out. Pure; keeps state between calls.
class LogDecoder {
public:
    virtual ~LogDecoder() = default;
    /// Bytes must be contiguous from the start position given at creation.
    /// Broken log is Error{failed} naming the position.
    virtual void feed(model::Offset at, base::ByteView bytes) = 0;
    /// Index of everything fed since the last take() (or the start); resets that range.
    virtual model::LogIndex take() = 0;
    /// After an Error of feed(): nothing from here on was read. take() then gives what was, up to
    /// here, and the decoder is of no more use.
    virtual model::Offset readable_to() const = 0;
};

struct DecoderStart {
    int version_num = 0;
    std::string system_id;
    std::uint32_t log_segment_size = 0;
    model::Epoch epoch = 0;
    model::Offset range_from = 0; ///< first byte of the first range that take() shall describe
    /// Where feeding begins: `range_from`, or before it at the start of the record that spans it.
    model::Offset feed_from = 0;
    /// feed_from is a record start; otherwise a segment or page boundary.
    bool at_record = false;
    /// LogIndex::times holds every commit and abort, not a few.
    bool every_time = false;
};

/// Bytes to deliver to a server that recovers, in place of those of the log.
struct LogPatch {
    model::Offset at = 0;
    base::Bytes bytes;
};

/// A record of the log, with whatever follows it.
struct LogExcerpt {
    int version_num = 0;
    std::uint32_t log_segment_size = 0;
    model::Offset start = 0; ///< of the record
    base::ByteView bytes;
};

/// One kind of database. A new one adds one registration line in app.
class Engine {
public:
    virtual ~Engine() = default;
    virtual std::string name() const = 0;
    virtual std::unique_ptr<Session> connect(const MemberConfig& member) = 0;
    virtual std::unique_ptr<RestoreTarget> open_target(const TargetConfig& target) = 0;
    virtual std::unique_ptr<LogDecoder> open_decoder(const DecoderStart& start) = 0;
    /// What replay must find instead of the record of a LogNoticeKind::tablespace_created, so that
    /// it makes the tablespace below the data directory, and not where production has it (rules.md
    /// 29). Error{failed} when it is no such record. An engine that gives no such notices has none.
    virtual std::vector<LogPatch> keep_tablespace_inside(const LogExcerpt&) { return {}; }
};

} // namespace tidemark::engine
