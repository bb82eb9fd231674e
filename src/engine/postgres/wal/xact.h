#pragma once

#include "engine/postgres/wal/layout.h"
#include "engine/postgres/wal/record.h"

#include "base/clock.h"

#include <optional>
#include <string_view>

namespace tidemark::engine::postgres::wal {

/// Records of the transaction manager that begin or end something (XLOG_XACT_*); the info byte's
/// bits 0x70.
enum class XactKind : std::uint8_t {
    commit = 0x00,
    prepare = 0x10,
    abort = 0x20,
    commit_prepared = 0x30,
    abort_prepared = 0x40,
};

/// Nothing for records of other managers and for XLOG_XACT_ASSIGNMENT and _INVALIDATIONS.
std::optional<XactKind> xact_kind(const Record& record);

/// The end of a transaction (xl_xact_commit, xl_xact_abort).
struct XactEnd {
    base::Time at;
    /// Always there for commit_prepared and abort_prepared, whose header's xid says nothing.
    std::optional<std::uint32_t> two_phase_xid;
    std::string_view gid; ///< only with wal_level = logical; else empty
};

/// PREPARE TRANSACTION (xl_xact_prepare).
struct XactPrepare {
    std::uint32_t xid = 0;
    std::uint32_t database = 0;
    std::uint32_t owner = 0;
    base::Time at;
    std::string_view gid;
};

/// Both return nothing when the record is not what its kind says. Views point into the record.
std::optional<XactEnd> decode_xact_end(const Layout& layout, XactKind kind, const Record& record);
std::optional<XactPrepare> decode_prepare(const Layout& layout, const Record& record);

/// A TimestampTz from foreign bytes; what lies outside base::Time's range becomes its nearest end.
base::Time time_from_log(std::int64_t microseconds);

} // namespace tidemark::engine::postgres::wal
