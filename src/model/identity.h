#pragma once

#include "base/clock.h"
#include "model/log_position.h"

#include <cstdint>
#include <map>
#include <string>

namespace tidemark::model {

/// Who the member is and what a restore of it needs to know. Read from the live server.
struct Identity {
    std::string engine = "postgresql";
    std::string system_id;              ///< decimal
    int version_num = 0;                ///< server_version_num, e.g. 150018
    std::string version;                ///< "15.18"
    LogPosition position;               ///< current epoch and insert (or replay) position
    std::uint32_t log_segment_size = 0; ///< bytes
    std::uint32_t page_size = 8192;     ///< bytes
    bool page_checksums = false;
    bool in_recovery = false;
    std::string data_directory; ///< as the server says; empty when we may not ask
    /// Settings that recovery or an operator needs again: max_connections,
    /// max_prepared_transactions, max_worker_processes, max_wal_senders, max_locks_per_transaction,
    /// wal_level, shared_preload_libraries, ...
    std::map<std::string, std::string> settings;
    friend bool operator==(const Identity&, const Identity&) = default;
};

/// A transaction that is prepared and unfinished right now.
struct PreparedBranch {
    std::uint32_t xid = 0;
    std::string gid;
    base::Time prepared;
    std::string owner;
    std::string database;
    std::uint32_t owner_oid = 0;
    std::uint32_t database_oid = 0;
    friend bool operator==(const PreparedBranch&, const PreparedBranch&) = default;
};

} // namespace tidemark::model
