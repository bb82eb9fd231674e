#pragma once

#include "engine/postgres/pq.h"
#include "engine/postgres/wal/reader.h"

#include "base/bytes.h"

#include <filesystem>
#include <iosfwd>
#include <string>
#include <vector>

/// What other programs say of a log, to compare with our reader: pg_waldump and pg_walinspect.
namespace tidemark::test {

struct OracleBlock {
    engine::postgres::wal::RelationFile file;
    std::string fork;
    std::uint32_t block = 0;
    bool image = false;
    friend bool operator==(const OracleBlock&, const OracleBlock&) = default;
};

/// A record as pg_waldump shows it.
struct OracleRecord {
    model::Offset start = 0;
    model::Offset previous = 0;
    std::uint32_t xid = 0;
    std::string manager;
    std::uint32_t length = 0;
    std::uint32_t image_bytes = 0;
    std::vector<OracleBlock> blocks;
    friend bool operator==(const OracleRecord&, const OracleRecord&) = default;
};
std::ostream& operator<<(std::ostream& out, const OracleRecord& record);

/// Our own record in the same words.
OracleRecord in_oracle_words(const engine::postgres::wal::Record& record);

struct WaldumpLine {
    OracleRecord record;
    std::string description; ///< "COMMIT_PREPARED 741: 2026-11-22 ..."
};

/// Every record of [start, end) that `program` (pg_waldump) finds below `folder`.
std::vector<WaldumpLine> waldump(const std::filesystem::path& program,
                                 const std::filesystem::path& folder, model::Epoch timeline,
                                 model::Offset start, model::Offset end);

struct WalinspectRow {
    OracleRecord record; ///< without blocks
    model::Offset end = 0;
    std::uint32_t main_length = 0;
};

/// The same from pg_get_wal_records_info(); needs the extension pg_walinspect.
std::vector<WalinspectRow> walinspect(engine::postgres::Connection& connection, model::Offset start,
                                      model::Offset end);

/// The segments of one timeline that lie in a folder, joined; they must follow each other.
struct SegmentRun {
    model::Offset from = 0;
    base::Bytes bytes;

    model::Offset to() const { return from + bytes.size(); }
    base::ByteView view(model::Offset at, model::Offset end) const
    {
        return base::ByteView(bytes).subspan(at - from, end - at);
    }
};
SegmentRun read_segments(const std::filesystem::path& folder, model::Epoch timeline,
                         std::uint32_t segment_size);

} // namespace tidemark::test
