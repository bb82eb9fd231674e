#pragma once

#include "engine/engine.h"
#include "engine/postgres/wal/page.h"
#include "engine/postgres/wal/record.h"

#include <optional>
#include <string_view>
#include <vector>

namespace tidemark::engine::postgres::wal {

/// CREATE TABLESPACE (xl_tblspc_create_rec). Replay makes a link to `location` on the host where it
/// happens, and takes what lies there for the tablespace's.
struct TablespaceCreation {
    std::uint32_t oid = 0;
    std::string_view location; ///< into the record; empty: within the data directory
};
bool is_tablespace_creation(const Record& record);
/// Expects such a record; nothing when its data are not what it says.
std::optional<TablespaceCreation> decode_tablespace_creation(const Record& record);

/// The bytes of the creation that begins at `start`, with an empty location: replay then makes the
/// tablespace in pg_tblspc itself (create_tablespace_directories, since 15 and the minor versions
/// 13.8 and 14.5). `bytes` begin there and may go on behind the record. Error{failed} where no such
/// record lies.
std::vector<LogPatch> keep_inside(const LogIdentity& identity, model::Offset start,
                                  base::ByteView bytes);

} // namespace tidemark::engine::postgres::wal
