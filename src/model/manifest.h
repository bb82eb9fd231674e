#pragma once

#include "base/clock.h"
#include "model/backup_facts.h"
#include "model/file_entry.h"
#include "model/identity.h"
#include "model/log_position.h"
#include "model/object_ref.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tidemark::model {

enum class BackupType : std::uint8_t { full = 1 };

/// A pack that a backup's page map points into.
struct PackRef {
    std::string key;
    std::uint64_t size = 0; ///< stored bytes
    std::uint32_t frames = 0;
    std::uint64_t plain_bytes = 0;
    Digest root{}; ///< over the frames' hashes, as the pack's trailer holds it
    friend bool operator==(const PackRef&, const PackRef&) = default;
};

struct BackupTotals {
    std::uint64_t files = 0;
    std::uint64_t plain_bytes = 0;  ///< what a restore writes, zeros left out
    std::uint64_t file_bytes = 0;   ///< sum of the files' sizes
    std::uint64_t stored_bytes = 0; ///< packs and page map
    std::uint64_t pages_verified = 0;
    std::uint64_t pages_reread = 0;
    std::uint64_t pages_damaged = 0; ///< when there are more than Manifest::damaged names, else 0
    friend bool operator==(const BackupTotals&, const BackupTotals&) = default;
};

/// One member's base backup: what it holds, where it is, and which log it needs. Immutable; its
/// presence in the repository means that everything it names is durable.
struct Manifest {
    std::string group;
    std::string member;
    BackupType type = BackupType::full;
    bool over_wire = false; ///< read through the server instead of from its files
    LogPosition start;      ///< log is needed from here
    LogPosition checkpoint; ///< of the starting checkpoint; offset 0 if unknown
    LogPosition stop;       ///< consistent from here on
    base::Time started;
    base::Time ended;
    std::string backup_label;   ///< the bytes the server returned (rules.md 20)
    std::string tablespace_map; ///< may be empty
    Identity identity;          ///< as read when the backup began
    History history;            ///< of the epoch in which it was taken
    BackupFacts facts;
    std::vector<PackRef> packs; ///< every pack that the page map points into
    ObjectRef page_map;
    BackupTotals totals;
    std::vector<DamagedPage> damaged;         ///< the first of them
    std::vector<std::uint32_t> prepared_xids; ///< found in pg_twophase
    friend bool operator==(const Manifest&, const Manifest&) = default;

    bool is_damaged() const { return !damaged.empty(); }
    /// How many there are, named in `damaged` or not.
    std::uint64_t damaged_pages() const
    {
        return totals.pages_damaged != 0 ? totals.pages_damaged : damaged.size();
    }
};

} // namespace tidemark::model
