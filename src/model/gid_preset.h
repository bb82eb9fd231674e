#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The forms of gid that widely used drivers and coordinators write. A gid that is not exactly of
/// the form is somebody else's, and no part of it is an id.
namespace tidemark::model {

using GidRule = std::optional<std::string> (*)(std::string_view gid);

/// "psycopg", "pgjdbc", "citus"; null for any other name.
GidRule gid_preset(std::string_view name);
/// For messages.
std::vector<std::string_view> gid_preset_names();

/// psycopg2 and psycopg 3, tpc_begin(xid(format, gtrid, bqual)): "FORMAT_GTRID_BQUAL", format 0 to
/// 2^31-1 in decimal, gtrid and bqual in base64, at most 64 bytes each. The global id is
/// "FORMAT_GTRID". A plain string given to tpc_begin() is not of this form: "identical" fits then.
std::optional<std::string> psycopg_global_id(std::string_view gid);

/// PGXADataSource of the PostgreSQL JDBC driver, under any transaction manager: the same form,
/// where the format, an int, may be negative.
std::optional<std::string> pgjdbc_global_id(std::string_view gid);

/// Citus: "citus_GROUP_PID_TRANSACTION_CONNECTION" in decimal; the global id is all but the
/// connection. Its coordinator commits its own part in one phase; what it decided stands in
/// pg_catalog.pg_dist_transaction, column gid.
std::optional<std::string> citus_global_id(std::string_view gid);

} // namespace tidemark::model
