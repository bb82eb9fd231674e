#pragma once

#include "base/clock.h"
#include "engine/backup_source.h"
#include "engine/content_check.h"
#include "model/identity.h"

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace tidemark::engine {

using PreparedBranch = model::PreparedBranch;

/// Where a member is restored to and by whom.
struct TargetConfig {
    std::string member;
    std::filesystem::path dir;      ///< the data directory to be
    std::filesystem::path work_dir; ///< ours, outside dir: generated configuration, sockets, logs
    std::string user;               ///< system user the server runs as; empty = this one
    std::optional<std::filesystem::path> bin_dir; ///< server binaries; found by version when absent
    int version_num = 0;
    std::string system_id;
    std::vector<std::string> preload_libraries; ///< only those the operator named
};

/// Where recovery stops. Exactly one is set; `position` is how marks are restored.
struct RecoveryGoal {
    std::optional<model::Offset>
        position;                    ///< stops before the first record that starts at or after it
    std::optional<base::Time> time;  ///< the server's own recovery_target_time (contrasts only)
    std::optional<std::string> name; ///< the server's own recovery_target_name (contrasts only)
    model::Epoch epoch = 0;
};

struct RecoverySpec {
    RecoveryGoal goal;
    std::string restore_command; ///< complete, with %f and %p
    std::string backup_label;
    std::string tablespace_map; ///< already rewritten to the new locations
    std::map<std::string, std::string>
        limits; ///< max_prepared_transactions and friends, minimum values
    /// Tablespaces that the log creates (Engine::keep_tablespace_inside), and where each is to lie
    /// when the goal is reached; the folders above are there, on the file system of the data
    /// directory.
    std::map<std::uint32_t, std::filesystem::path> created_tablespaces = {};
    std::string superuser;
    /// At backup time (BackupFacts), for warnings(); may be empty.
    std::map<std::string, std::string> collation_versions = {};
};

struct Reached {
    model::LogPosition position;
    std::string evidence; ///< the server's own log line, and pg_control's minimum recovery point
};

struct HandOverOptions {
    bool as_production = false;
    std::vector<CapturedFile> captured = {}; ///< configuration to hand over beside the data
    std::string data_directory = {};         ///< where it was, if the backup says so
};

struct HandOver {
    std::vector<std::string> changed_lines; ///< of the backup's configuration, "file: old -> new"
    std::vector<std::string> neutralised;   ///< what quarantine keeps switched off
    /// Beside the files written now, in the data directory: what was found changed there, now and
    /// at earlier hand-overs.
    std::vector<std::string> kept_files;
    std::string socket_dir; ///< when running
    int port = 0;
    std::string start_command; ///< when stopped
};

/// A member being restored: from written files to a server that is handed over (rules.md 22-29).
/// Every step may be repeated after a crash. Errors: not_restorable, point_not_reachable,
/// out_of_space, failed.
class RestoreTarget {
public:
    virtual ~RestoreTarget() = default;
    /// Finds binaries of the right major version and checks what recovery needs of this host;
    /// throws member_not_ready.
    virtual void preflight() = 0;
    /// Takes the written files over: removes what must not survive, writes label, signal and our
    /// own configuration.
    virtual void prepare(const RecoverySpec& spec) = 0;
    /// Phase 1: recovers to the goal and shuts down there; `progress` gets the replayed offset.
    virtual Reached recover(const std::function<void(model::Offset)>& progress,
                            std::stop_token stop) = 0;
    /// Phase 2: starts again with action promote on the private socket; returns the new epoch.
    virtual model::LogPosition promote(std::stop_token stop) = 0;
    /// Starts the promoted server again on its private socket if it is not running (after a crash
    /// of ours).
    virtual void resume(std::stop_token stop) = 0;
    virtual std::vector<PreparedBranch> prepared() = 0;
    /// COMMIT PREPARED or ROLLBACK PREPARED in the branch's own database.
    virtual void settle(const PreparedBranch& branch, bool commit) = 0;
    /// Anything an operator should read: collation differences, invalid slots, ...
    virtual std::vector<std::string> warnings() = 0;
    /// Looks through everything with the database's own checker, on `workers` connections. What is
    /// wrong is in the result; an Error means that it could not be told.
    virtual ContentCheck check_content(unsigned workers, std::stop_token stop) = 0;
    /// One statement, read-only, that returns one value; absent is NULL. Anything else is
    /// Error{failed} with the server's words.
    virtual std::optional<std::string> ask(const std::string& database, const std::string& sql,
                                           std::stop_token stop) = 0;
    /// After stop(): every page of every file against its checksum.
    virtual PageCheck check_pages(unsigned workers, std::stop_token stop) = 0;
    /// Where a restore that was handed over is taken up again, before its users' server is stopped:
    /// is there what prepare_hand_over() needs? Error{not_restorable}.
    virtual void check_hand_over(const HandOverOptions& options) = 0;
    /// Writes the configuration under which the server is handed over and, as production, tries it:
    /// the server starts under it once, where only we reach it and with whatever would act on the
    /// world switched off. Stopped afterwards. Error{member_not_ready} when it does not start.
    virtual HandOver prepare_hand_over(const HandOverOptions& options, std::stop_token stop) = 0;
    /// After prepare_hand_over(): from here on it is its users' server. `start` starts it and fills
    /// in where it listens.
    virtual void hand_over(HandOver& result, bool start) = 0;
    /// Undoes hand_over(): the server is ours again, and stopped. May be called at any time.
    virtual void take_back() = 0;
    /// Stops the server if it runs.
    virtual void stop() = 0;
    /// Stops it and removes what lies outside of dir and work_dir.
    virtual void clean_up() = 0;
    /// libpq connection string of the private socket while the server runs.
    virtual std::string private_conninfo() const = 0;
};

} // namespace tidemark::engine
