#include "engine/postgres/wal/decoder.h"

#include "base/error.h"
#include "base/fd.h"

#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fmt/format.h>
#include <map>
#include <span>
#include <string>
#include <vector>

/// GB/s of the log reader on one core, over the segments of a pg_wal or archive folder.
///
///   tidemark_bench_wal FOLDER [RUNS]

namespace {

using namespace tidemark;
namespace fs = std::filesystem;
namespace wal = engine::postgres::wal;

constexpr std::size_t kChunk = std::size_t{1} << 15;

struct Log {
    wal::LogIdentity identity;
    model::Offset from = 0;
    std::vector<fs::path> segments;
};

base::Bytes read_head(const fs::path& path)
{
    base::FdSource source(base::open_read(path), path.string());
    base::Bytes head(wal::kLongPageHeader);
    if (!base::read_exactly(source, head)) head.clear();
    return head;
}

/// The segments of the folder's oldest timeline that follow each other.
Log find_log(const fs::path& folder)
{
    std::map<std::string, fs::path> names;
    for (const auto& entry : fs::directory_iterator(folder))
        if (entry.path().filename().string().size() == 24)
            names.emplace(entry.path().filename().string(), entry.path());
    Log log;
    model::Offset next = 0;
    for (const auto& [name, path] : names) {
        auto head = read_head(path);
        auto identity = wal::identify_segment(head);
        if (!identity) break; // never written
        auto address = wal::load_page_header(head.data()).address;
        if (log.segments.empty()) {
            log.identity = *identity;
            log.from = next = address;
        }
        if (address != next) break;
        log.segments.push_back(path);
        next += identity->segment_size;
    }
    return log;
}

double seconds(clockid_t clock)
{
    timespec now = {};
    ::clock_gettime(clock, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

class Counter final : public wal::RecordVisitor {
public:
    void record(const wal::Record& record) override
    {
        ++records;
        images += record.images;
    }
    std::uint64_t records = 0;
    std::uint64_t images = 0;
};

/// Hands the log to `feed` in chunks until it says false or the log ends.
template <typename Feed> model::Offset feed_files(const Log& log, base::ByteSpan buffer, Feed feed)
{
    model::Offset at = log.from;
    for (const auto& path : log.segments) {
        base::FdSource source(base::open_read(path), path.string());
        while (std::size_t count = source.read(buffer)) {
            if (!feed(at, buffer.first(count))) return at;
            at += count;
        }
    }
    return at;
}

template <typename Work> void time(const char* what, Work work)
{
    double wall = seconds(CLOCK_MONOTONIC);
    double cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
    auto [bytes, records] = work();
    wall = seconds(CLOCK_MONOTONIC) - wall;
    cpu = seconds(CLOCK_THREAD_CPUTIME_ID) - cpu;
    auto size = static_cast<double>(bytes);
    fmt::print("{:28} {:6.2f} GB/s wall, {:6.2f} GB/s cpu, {:.2f} GB, {} records, {:.0f} B each\n",
               what, size / wall / 1e9, size / cpu / 1e9, size / 1e9, records,
               size / static_cast<double>(std::max<std::uint64_t>(records, 1)));
}

struct Done {
    std::uint64_t bytes = 0;
    std::uint64_t records = 0;
};

Done read_records(const Log& log, base::ByteSpan buffer)
{
    Counter counter;
    wal::WalReader reader(log.identity, {.at = log.from}, counter);
    feed_files(log, buffer, [&](model::Offset at, base::ByteView bytes) {
        auto status = reader.feed(at, bytes);
        if (status.state == wal::State::broken)
            fmt::print("stopped: {}\n", wal::format_status(status));
        return status.state == wal::State::ok || status.state == wal::State::need_more;
    });
    return {reader.position() - log.from, counter.records};
}

/// What is in memory already: the reader alone.
Done read_memory(const Log& log, base::ByteView bytes)
{
    Counter counter;
    wal::WalReader reader(log.identity, {.at = log.from}, counter);
    reader.feed(log.from, bytes);
    return {reader.position() - log.from, counter.records};
}

Done build_index(const Log& log, base::ByteSpan buffer, model::Offset end)
{
    engine::DecoderStart start;
    start.version_num = log.identity.layout->major * 10000;
    start.log_segment_size = log.identity.segment_size;
    start.epoch = log.identity.timeline;
    start.range_from = start.feed_from = log.from;
    wal::IndexBuilder builder(start);
    feed_files(log, buffer, [&](model::Offset at, base::ByteView bytes) {
        if (at >= end) return false;
        builder.feed(at, bytes.first(std::min<std::uint64_t>(bytes.size(), end - at)));
        return true;
    });
    auto index = builder.take();
    return {index.range.to - index.range.from, index.records};
}

int run(const fs::path& folder, int runs)
{
    Log log = find_log(folder);
    if (log.segments.empty()) {
        fmt::print(stderr, "no log segments of PostgreSQL 13 to 18 in {}\n", folder.string());
        return 1;
    }
    fmt::print("PostgreSQL {}, {} segments from {}\n", log.identity.layout->major,
               log.segments.size(), model::format_offset(log.from));
    base::Bytes buffer(kChunk);
    base::Bytes memory;
    feed_files(log, buffer, [&](model::Offset, base::ByteView bytes) {
        memory.insert(memory.end(), bytes.begin(), bytes.end());
        return memory.size() < (std::size_t{1} << 30);
    });
    for (int i = 0; i < runs; ++i) {
        model::Offset end = log.from;
        time("read, check, take apart", [&] {
            auto done = read_records(log, buffer);
            end += done.bytes;
            return done;
        });
        time("the same and build the index", [&] { return build_index(log, buffer, end); });
        time("from memory, at most 1 GiB", [&] { return read_memory(log, memory); });
    }
    return 0;
}

} // namespace

int main(int argc, char** argv)
{
    if (argc < 2) {
        fmt::print(stderr, "usage: {} FOLDER [RUNS]\n", argv[0]);
        return 2;
    }
    try {
        return run(argv[1], argc > 2 ? std::max(1, std::atoi(argv[2])) : 3);
    } catch (const base::Error& error) {
        fmt::print(stderr, "{}\n", error.what());
        return static_cast<int>(error.code());
    }
}
