#pragma once

#include "engine/engine.h"
#include "engine/postgres/pq.h"

#include <cstdint>
#include <optional>
#include <string>

namespace tidemark::engine::postgres {

/// A proposal for max_slot_wal_keep_size: how much log our slot may hold back before the server
/// gives the slot up to save its disk.
struct SlotBound {
    std::uint64_t bytes = 0; ///< whole GiB from 1 GiB on, else whole MiB
    std::string why;         ///< one line
    /// "ALTER SYSTEM SET max_slot_wal_keep_size = '8GB'; SELECT pg_reload_conf();"
    std::string statement() const;
};

/// Pure part. With the free disk known: half of it, so that the other half stays for data, divided
/// by the `sharing` members whose slots all hold log on that disk. Otherwise four times what pg_wal
/// holds now, at least 4 GiB: an operator has to look at it.
SlotBound propose_slot_bound(std::optional<std::uint64_t> free_bytes, std::uint64_t wal_bytes,
                             std::size_t sharing = 1);

/// Bytes free to others than root on the disk of the member's pg_wal; empty where it cannot be seen
/// from here.
std::optional<std::uint64_t> free_beside_log(const MemberConfig& member);

/// The members of the group with log on this one's disk, itself included: by the device of pg_wal,
/// and where that of a neighbour cannot be seen, by its host.
std::size_t members_on_disk(const MemberConfig& member);

/// Measures all: the free disk of pg_wal where the member's data_dir can be reached from here, the
/// size of pg_wal by pg_ls_waldir().
SlotBound propose_slot_bound(Connection& sql, const MemberConfig& member);

} // namespace tidemark::engine::postgres
