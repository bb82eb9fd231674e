#pragma once

#include "base/fd.h"
#include "engine/log_source.h"
#include "integration/postgres/member.h"
#include "model/log_position.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fmt/format.h>
#include <gtest/gtest.h>

namespace tidemark::test {

/// Of a Member's log.
inline constexpr model::Offset kSegment = 1U << 20;

inline std::chrono::steady_clock::time_point in(std::chrono::milliseconds time)
{
    return std::chrono::steady_clock::now() + time;
}

/// Reads [from, to) of the log; fails the test when it does not come in time or has a hole.
inline base::Bytes receive(engine::LogSource& source, model::Offset from, model::Offset to)
{
    base::Bytes out;
    const auto deadline = in(std::chrono::seconds{30});
    while (from + out.size() < to) {
        const auto chunk = source.next(deadline, {});
        if (!chunk) {
            ADD_FAILURE() << "only up to " << model::format_offset(from + out.size());
            return out;
        }
        EXPECT_EQ(chunk->at, from + out.size());
        out.insert(out.end(), chunk->bytes.begin(), chunk->bytes.end());
    }
    out.resize(to - from);
    return out;
}

/// The same bytes from the files in pg_wal.
inline base::Bytes from_files(const std::filesystem::path& data_dir, model::Offset from,
                              model::Offset to, model::Epoch epoch = 1)
{
    base::Bytes out;
    while (from < to) {
        const auto number = from / kSegment;
        const auto name = fmt::format("{:08X}{:08X}{:08X}", epoch, number / 4096, number % 4096);
        const auto segment = base::read_file(data_dir / "pg_wal" / name, kSegment);
        const auto begin = from % kSegment;
        const auto size = std::min(kSegment - begin, to - from);
        out.insert(out.end(), segment.begin() + static_cast<std::ptrdiff_t>(begin),
                   segment.begin() + static_cast<std::ptrdiff_t>(begin + size));
        from += size;
    }
    return out;
}

inline model::Offset flushed(const Member& member)
{
    auto admin = member.admin();
    return admin.exec("SELECT pg_current_wal_flush_lsn()").lsn(0, 0).value();
}

} // namespace tidemark::test
