#include "engine/postgres/replication.h"

#include <charconv>
#include <fmt/format.h>

#include <limits>

namespace tidemark::engine::postgres {

using base::Code;
using base::Error;

SystemIdentity identify_system(Connection& replication)
{
    const Result row = replication.exec("IDENTIFY_SYSTEM");
    SystemIdentity out;
    out.system_id = std::string(row.get(0, "systemid"));
    std::uint64_t number = 0;
    const char* end = out.system_id.data() + out.system_id.size();
    if (auto [at, error] = std::from_chars(out.system_id.data(), end, number);
        error != std::errc{} || at != end)
        throw Error{Code::failed, fmt::format("{} has no system identifier but \"{}\"",
                                              replication.description(), out.system_id)};
    const auto timeline = row.integer(0, row.column("timeline"));
    const auto flushed = row.lsn(0, row.column("xlogpos"));
    if (!timeline || *timeline <= 0 || *timeline > std::numeric_limits<model::Epoch>::max() ||
        !flushed)
        throw Error{Code::failed,
                    fmt::format("{} does not say where its log is", replication.description())};
    out.flushed = {static_cast<model::Epoch>(*timeline), *flushed};
    return out;
}

std::optional<std::string> timeline_history(Connection& replication, model::Epoch epoch)
{
    if (epoch <= 1) return std::nullopt;
    try {
        const Result row = replication.exec(fmt::format("TIMELINE_HISTORY {}", epoch));
        return std::string(row.get(0, "content"));
    } catch (const SqlError& error) {
        if (error.sqlstate() == "58P01") return std::nullopt; // no such file
        throw;
    }
}

model::History server_history(Connection& replication, model::Epoch epoch)
{
    if (epoch <= 1) return model::History{1, {}};
    const auto text = timeline_history(replication, epoch);
    if (!text)
        throw Error{Code::identity_mismatch,
                    fmt::format("{} has no history file of its timeline {}",
                                replication.description(), epoch),
                    {.hint = "put the file " + fmt::format("{:08X}.history", epoch) +
                             " back into the server's pg_wal"}};
    return model::parse_history(epoch, *text);
}

std::optional<model::Offset> read_replication_slot(Connection& replication, const std::string& slot)
{
    const Result row = replication.exec("READ_REPLICATION_SLOT " + Connection::identifier(slot));
    if (row.rows() == 0) return std::nullopt;
    return row.lsn(0, row.column("restart_lsn"));
}

} // namespace tidemark::engine::postgres
