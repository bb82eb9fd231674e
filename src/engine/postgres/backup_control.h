#pragma once

#include "engine/backup_source.h"
#include "engine/engine.h"
#include "engine/postgres/pq.h"

#include <chrono>
#include <map>
#include <mutex>
#include <string>

namespace tidemark::engine::postgres {

/// A spread checkpoint takes as long as checkpoint_timeout says, a day at most.
inline constexpr std::chrono::hours kCheckpointPatience{25};

/// The one session that a base backup is bound to: started on it, stopped on it, void when it ends
/// (rules.md 16). Safe to ask from several threads.
class BackupControl {
public:
    explicit BackupControl(const MemberConfig& member);

    struct Server {
        int version_num = 0;
        std::uint64_t system_id = 0;
        bool in_recovery = false;
        bool page_checksums = false;
        bool may_read_files = false;     ///< pg_read_binary_file is granted to us
        std::uint32_t segment_pages = 0; ///< pages in one file of a large relation
    };
    const Server& server() const { return server_; }

    /// Puts the server into backup mode; returns after its checkpoint.
    BackupBegin start(const BackupOptions& options);
    struct Stopped {
        model::LogPosition stop;
        std::string backup_label;
        std::string tablespace_map;
    };
    Stopped stop();

    /// The end of the log as the server has written (or, a standby, received) it.
    model::Offset log_end();
    BackupFacts facts(bool local);
    /// Numbers and names, without the two that lie in the data directory of every cluster.
    std::map<std::string, std::string> tablespaces();
    /// Part of a file of the server, relative to its data directory: shorter at its end, no bytes
    /// when it is gone, absent when it may not be read.
    std::optional<base::Bytes> read_file(const std::string& path, std::uint64_t offset,
                                         std::size_t size);

private:
    void ask_server();

    std::mutex mutex_;
    Connection connection_;
    Server server_;
};

} // namespace tidemark::engine::postgres
