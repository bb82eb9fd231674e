#pragma once

#include "engine/engine.h"
#include "engine/postgres/pq.h"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tidemark::engine::postgres {

/// One PostgreSQL cluster (13 to 18), connected by SQL. Log streaming, history files and base
/// backups open connections of their own.
class PostgresSession final : public Session {
public:
    using StartBackup =
        std::function<std::unique_ptr<BackupSource>(const MemberConfig&, const BackupOptions&)>;

    /// Connects; `start_backup` is what begin_backup() calls. An unsupported version is
    /// Error{member_not_ready}.
    static std::unique_ptr<PostgresSession> connect(const MemberConfig& member,
                                                    StartBackup start_backup);

    void set_deadline(std::chrono::steady_clock::time_point deadline) override;
    Identity identify() override;
    std::vector<Check> check() override;
    model::LogPosition insert_position() override;
    PlacedPoint place_restore_point(const std::string& name) override;
    void ensure_flushed(model::Offset offset,
                        std::chrono::steady_clock::time_point deadline) override;
    base::Time clock() override;
    std::vector<PreparedBranch> prepared() override;
    SlotState slot() override;
    model::LogPosition create_slot() override;
    void drop_slot() override;
    std::vector<Standby> standbys(const StandbyOrder& order) override;
    std::vector<OwnSlot> own_slots() override;
    std::optional<std::string> history_file(model::Epoch epoch) override;
    std::unique_ptr<LogSource> open_log(const model::LogPosition& from) override;
    std::unique_ptr<BackupSource> begin_backup(const BackupOptions& options) override;

private:
    PostgresSession(const MemberConfig& member, Connection sql, std::vector<ServerUrl> others,
                    StartBackup start_backup);
    Connection open_replication() const;
    model::Epoch standby_epoch();

    MemberConfig member_; ///< its url names the one server that we are connected to
    Connection sql_;
    std::vector<ServerUrl> others_; ///< the member's further servers
    StartBackup start_backup_;
    std::chrono::steady_clock::time_point deadline_ = std::chrono::steady_clock::time_point::max();
    /// 0 until known. A primary keeps its timeline as long as a session to it lives.
    model::Epoch primary_epoch_ = 0;
};

} // namespace tidemark::engine::postgres
