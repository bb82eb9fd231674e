#pragma once

#include "base/bytes.h"
#include "model/backup_facts.h"
#include "model/file_entry.h"
#include "model/log_position.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

namespace tidemark::engine {

struct BackupOptions {
    std::string label;
    bool fast_checkpoint = true;
    std::uint32_t workers = 2;          ///< threads that call the sink
    std::uint64_t bytes_per_second = 0; ///< 0 = unlimited
};

/// Receives the files of a base backup. `worker` is 0..workers-1; calls with one worker number
/// never overlap, calls with different ones do.
class BackupSink {
public:
    virtual ~BackupSink() = default;
    /// Announced once, when the final size is known or after its last extent; indexes are unique.
    virtual void file(const model::FileEntry& entry) = 0;
    /// Bytes of file `index` at `offset`. Verified; at most 1 MiB; ascending within one file part.
    virtual void extent(std::uint32_t worker, std::uint32_t index, std::uint64_t offset,
                        base::ByteView bytes) = 0;
};

using CapturedFile = model::CapturedFile;
using BackupFacts = model::BackupFacts;

struct BackupBegin {
    model::LogPosition start;      ///< redo position the log must be kept from
    model::LogPosition checkpoint; ///< of the starting checkpoint; offset 0 if unknown
    bool over_wire = false;        ///< BASE_BACKUP instead of direct reads
    std::uint64_t estimated_bytes = 0;
    /// The files come from another server than was asked for, and why; one line, empty when not.
    std::string instead = {};
};

struct BackupEnd {
    model::LogPosition stop;
    std::string backup_label;                ///< the bytes the server returned (rules.md 20)
    std::string tablespace_map;              ///< may be empty
    std::vector<model::DamagedPage> damaged; ///< perhaps not all of them
    std::uint64_t pages_damaged = 0;         ///< how many there were; 0: those
    std::uint64_t pages_verified = 0;
    std::uint64_t pages_reread = 0;
    std::vector<std::uint32_t> prepared_xids; ///< found in pg_twophase
};

/// A base backup under way on one server session that stays open. Destroying it without finish()
/// aborts it.
class BackupSource {
public:
    virtual ~BackupSource() = default;
    virtual const BackupBegin& begin() const = 0;
    virtual BackupFacts facts() = 0;
    /// Reads everything into the sink with `workers` threads. `progress` counts plain bytes read.
    virtual void copy(BackupSink& sink, std::atomic<std::uint64_t>& progress,
                      std::stop_token stop) = 0;
    /// Ends the backup on the server. The backup is void unless this returns.
    virtual BackupEnd finish() = 0;
};

} // namespace tidemark::engine
