#include "engine/postgres/wal/status.h"

#include <fmt/format.h>

namespace tidemark::engine::postgres::wal {

std::string_view describe(Fault fault)
{
    switch (fault) {
    case Fault::none:
        return "nothing is wrong";
    case Fault::start:
        return "neither a record nor a page can begin there";
    case Fault::gap:
        return "the bytes do not follow those before them";
    case Fault::page_magic:
        return "this is not a log page of the expected PostgreSQL version";
    case Fault::page_flags:
        return "the page header's flags are wrong";
    case Fault::page_address:
        return "the page belongs to another position";
    case Fault::page_timeline:
        return "the page belongs to another timeline";
    case Fault::system_id:
        return "the log belongs to another cluster";
    case Fault::segment_size:
        return "the log has another segment size";
    case Fault::page_size:
        return "the log has another page size than 8192";
    case Fault::continuation:
        return "the page and the record that spans it do not agree";
    case Fault::record_length:
        return "the record's length is impossible";
    case Fault::record_checksum:
        return "the record's checksum is wrong";
    case Fault::record_chain:
        return "the record does not follow the one before it";
    case Fault::record_structure:
        return "the record's parts do not add up to its length";
    case Fault::overwrite:
        return "the record that replaces an aborted one names another";
    }
    return "unknown fault";
}

std::string format_status(const Status& status)
{
    std::string where = model::format_offset(status.where);
    switch (status.state) {
    case State::ok:
        return fmt::format("complete up to {}", where);
    case State::need_more:
        return fmt::format("a record is unfinished at {}", where);
    case State::end_of_log:
        return fmt::format("nothing was written from {} on", where);
    case State::broken:
        return fmt::format("{} at {}", describe(status.fault), where);
    }
    return where;
}

} // namespace tidemark::engine::postgres::wal
