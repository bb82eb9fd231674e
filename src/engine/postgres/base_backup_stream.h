#pragma once

#include "base/bytes.h"
#include "engine/backup_source.h"
#include "engine/postgres/pq.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace tidemark::engine::postgres {

/// A tablespace that the server is going to send; the data directory has no oid.
struct SentTablespace {
    std::string oid;
    std::string location;
};

/// The replication command BASE_BACKUP in both of its forms: one copy for each tablespace (13, 14),
/// or one copy of typed messages (15 and later). Log and manifest are not asked for.
class BaseBackupStream {
public:
    /// Connects, starts the backup and returns when the server's checkpoint is done.
    BaseBackupStream(const std::string& url, const BackupOptions& options);

    std::uint64_t system_id() const { return system_id_; }
    model::LogPosition start() const { return start_; }
    std::uint64_t estimated_bytes() const { return estimated_; }
    const std::vector<SentTablespace>& tablespaces() const { return tablespaces_; }

    /// Receives all archives. `begin` is called before each, with its tablespace; `data` gets the
    /// tar stream's bytes.
    void receive(const std::function<void(const SentTablespace&)>& begin,
                 const std::function<void(base::ByteView)>& data, std::stop_token stop);
    /// The stop position; call after receive().
    model::LogPosition finish();

private:
    void receive_copies(const std::function<void(const SentTablespace&)>& begin,
                        const std::function<void(base::ByteView)>& data, std::stop_token stop);
    void receive_messages(const std::function<void(const SentTablespace&)>& begin,
                          const std::function<void(base::ByteView)>& data, std::stop_token stop);
    void expect_copy(std::stop_token stop);
    std::optional<base::ByteView> next_message(std::stop_token stop);
    const SentTablespace& find_tablespace(const std::string& archive) const;

    Connection connection_;
    std::uint64_t system_id_ = 0;
    model::LogPosition start_;
    std::uint64_t estimated_ = 0;
    std::vector<SentTablespace> tablespaces_;
};

/// The command's text for a server of this version.
std::string base_backup_command(int version_num, const BackupOptions& options);

} // namespace tidemark::engine::postgres
