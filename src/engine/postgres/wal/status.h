#pragma once

#include "model/log_position.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace tidemark::engine::postgres::wal {

/// What is wrong with the log.
enum class Fault : std::uint8_t {
    none,
    start,            ///< no record and no page can begin where reading should start
    gap,              ///< the bytes fed do not follow those before them
    page_magic,       ///< not a page of this version's log
    page_flags,       ///< undefined flags, or a long header where there is none, or the reverse
    page_address,     ///< the page says it belongs elsewhere: a recycled or swapped segment
    page_timeline,    ///< a page of another timeline
    system_id,        ///< the log of another cluster
    segment_size,     ///< another segment size than expected
    page_size,        ///< a server built with another XLOG_BLCKSZ
    continuation,     ///< a page continues a record that did not reach it, or the reverse
    record_length,    ///< below a header or above what PostgreSQL writes
    record_checksum,  ///< CRC-32C of the record is wrong
    record_chain,     ///< the record does not name the one before it
    record_structure, ///< block references or lengths do not add up to the record
    overwrite,        ///< the record that replaces an aborted one names another
};

/// One line for people, without the position.
std::string_view describe(Fault fault);

enum class State : std::uint8_t {
    ok,         ///< everything fed is consumed and a record may begin at the next byte
    need_more,  ///< everything fed is consumed and a record or a page header is unfinished
    end_of_log, ///< zeros where a record should begin: nothing was written from `where` on
    broken,     ///< the log cannot be read on from `where`
};

struct Status {
    State state = State::ok;
    Fault fault = Fault::none; ///< set when broken
    model::Offset where = 0;   ///< of the record or page; the next byte when ok or need_more
    friend bool operator==(const Status&, const Status&) = default;
};

/// "record checksum is wrong at 0/3000028", for error messages.
std::string format_status(const Status& status);

} // namespace tidemark::engine::postgres::wal
