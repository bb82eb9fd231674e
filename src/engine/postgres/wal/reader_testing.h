#pragma once

#include "engine/postgres/wal/reader.h"
#include "engine/postgres/wal/test_log.h"

#include <algorithm>
#include <optional>
#include <vector>

namespace tidemark::engine::postgres::wal {

/// What is worth comparing of a record.
struct Seen {
    model::Offset start = 0;
    model::Offset end = 0;
    std::uint32_t length = 0;
    std::uint32_t xid = 0;
    std::size_t blocks = 0;
    base::Bytes main;
    friend bool operator==(const Seen&, const Seen&) = default;
};

class Collector final : public RecordVisitor {
public:
    void record(const Record& record) override
    {
        seen.push_back({record.start, record.end, record.length, record.xid, record.block_count,
                        base::Bytes(record.main_data.begin(), record.main_data.end())});
    }
    std::vector<model::Offset> starts() const
    {
        std::vector<model::Offset> starts;
        for (const Seen& one : seen)
            starts.push_back(one.start);
        return starts;
    }
    std::vector<Seen> seen;
};

struct Reading {
    Status status;
    std::vector<Seen> seen;
    std::optional<model::Offset> unfinished;
};

/// Reads `bytes` in pieces of at most `chunk` bytes.
inline Reading read(const LogIdentity& identity, const ReaderStart& start, base::ByteView bytes,
                    std::size_t chunk = SIZE_MAX)
{
    Collector collector;
    WalReader reader(identity, start, collector);
    while (!bytes.empty()) {
        auto piece = bytes.first(std::min(chunk, bytes.size()));
        reader.feed(reader.position(), piece);
        bytes = bytes.subspan(piece.size());
    }
    return {reader.status(), collector.seen, reader.unfinished()};
}

inline Reading read(TestLog& log, std::size_t chunk = SIZE_MAX)
{
    return read(log.identity(), {.at = log.from()}, log.bytes(), chunk);
}

inline std::vector<model::Offset> starts(const Reading& reading)
{
    std::vector<model::Offset> starts;
    for (const Seen& one : reading.seen)
        starts.push_back(one.start);
    return starts;
}

} // namespace tidemark::engine::postgres::wal
