#include "integration/wal_oracle.h"

#include "base/error.h"
#include "base/fd.h"
#include "base/subprocess.h"

#include <array>
#include <charconv>
#include <fmt/format.h>
#include <ostream>
#include <set>

namespace tidemark::test {

namespace {

namespace fs = std::filesystem;
using base::Code;
using base::Error;

constexpr std::array<std::string_view, 22> kManagers = {
    "XLOG",       "Transaction",   "Storage", "CLOG",     "Database",
    "Tablespace", "MultiXact",     "RelMap",  "Standby",  "Heap2",
    "Heap",       "Btree",         "Hash",    "Gin",      "Gist",
    "Sequence",   "SPGist",        "BRIN",    "CommitTs", "ReplicationOrigin",
    "Generic",    "LogicalMessage"};
constexpr std::array<std::string_view, 4> kForks = {"main", "fsm", "vm", "init"};

/// Walks over a line; every step must find what it expects.
class Line {
public:
    explicit Line(std::string_view text) : whole_(text), rest_(text) {}

    void expect(std::string_view text)
    {
        skip_blanks();
        if (!rest_.starts_with(text)) fail(text);
        rest_.remove_prefix(text.size());
    }
    bool accept(std::string_view text)
    {
        if (!rest_.starts_with(text)) return false;
        rest_.remove_prefix(text.size());
        return true;
    }
    std::string_view word(std::string_view end)
    {
        skip_blanks();
        auto size = std::min(rest_.find_first_of(end), rest_.size());
        auto word = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return word;
    }
    std::uint32_t number()
    {
        skip_blanks();
        std::uint32_t value = 0;
        auto [end, failure] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
        if (failure != std::errc{}) fail("a number");
        rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
        return value;
    }
    model::Offset offset()
    {
        auto value = model::parse_offset(word(", "));
        if (!value) fail("a position");
        return *value;
    }
    /// Skips to just after `text`; false when it does not occur.
    bool find(std::string_view text)
    {
        auto at = rest_.find(text);
        if (at == std::string_view::npos) return false;
        rest_.remove_prefix(at + text.size());
        return true;
    }
    std::string_view rest() const { return rest_; }

private:
    void skip_blanks()
    {
        rest_.remove_prefix(std::min(rest_.find_first_not_of(' '), rest_.size()));
    }
    [[noreturn]] void fail(std::string_view what) const
    {
        throw Error(Code::failed, fmt::format("expected {} at '{}' in '{}'", what, rest_, whole_));
    }

    std::string_view whole_;
    std::string_view rest_;
};

/// "blkref #0: rel 1663/5/16384 fork vm blk 3 FPW"
std::vector<OracleBlock> parse_blocks(Line line)
{
    std::vector<OracleBlock> blocks;
    while (line.find("blkref #")) {
        OracleBlock block;
        line.number();
        line.expect(": rel ");
        block.file.tablespace = line.number();
        line.expect("/");
        block.file.database = line.number();
        line.expect("/");
        block.file.number = line.number();
        block.fork = line.accept(" fork ") ? std::string(line.word(" ")) : "main";
        line.expect("blk ");
        block.block = line.number();
        block.image = line.accept(" FPW");
        blocks.push_back(std::move(block));
    }
    return blocks;
}

/// "rmgr: Heap        len (rec/tot):     54/  7794, tx:        735, lsn: 0/014F2A18,
///  prev 0/014F29E0, desc: INSERT off 1 flags 0x00, blkref #0: rel 1663/5/16384 blk 0 FPW"
WaldumpLine parse_waldump(std::string_view text)
{
    WaldumpLine parsed;
    OracleRecord& record = parsed.record;
    Line line(text);
    line.expect("rmgr: ");
    record.manager = line.word(" ");
    line.expect("len (rec/tot): ");
    std::uint32_t without_images = line.number();
    line.expect("/");
    record.length = line.number();
    record.image_bytes = record.length - without_images;
    line.expect(", tx: ");
    record.xid = line.number();
    line.expect(", lsn: ");
    record.start = line.offset();
    line.expect(", prev ");
    record.previous = line.offset();
    line.expect(", desc: ");
    parsed.description = line.rest();
    record.blocks = parse_blocks(line);
    return parsed;
}

std::string segment_name(model::Epoch timeline, model::Offset at, std::uint32_t segment_size)
{
    std::uint64_t number = at / segment_size;
    std::uint64_t per_id = (std::uint64_t{1} << 32) / segment_size;
    return fmt::format("{:08X}{:08X}{:08X}", timeline, number / per_id, number % per_id);
}

} // namespace

std::ostream& operator<<(std::ostream& out, const OracleRecord& record)
{
    out << fmt::format("{} at {} after {}, xid {}, {} bytes, {} of images", record.manager,
                       model::format_offset(record.start), model::format_offset(record.previous),
                       record.xid, record.length, record.image_bytes);
    for (const OracleBlock& block : record.blocks)
        out << fmt::format(", {}/{}/{} {} {}{}", block.file.tablespace, block.file.database,
                           block.file.number, block.fork, block.block, block.image ? " FPW" : "");
    return out;
}

OracleRecord in_oracle_words(const engine::postgres::wal::Record& record)
{
    OracleRecord words{.start = record.start,
                       .previous = record.previous,
                       .xid = record.xid,
                       .manager = record.manager < kManagers.size()
                                      ? std::string(kManagers[record.manager])
                                      : fmt::format("custom{:03}", record.manager),
                       .length = record.length,
                       .image_bytes = record.image_bytes,
                       .blocks = {}};
    for (const auto& block : record.blocks())
        words.blocks.push_back({.file = block.file,
                                .fork = std::string(kForks[static_cast<std::size_t>(block.fork)]),
                                .block = block.block,
                                .image = block.has_image});
    return words;
}

std::vector<WaldumpLine> waldump(const fs::path& program, const fs::path& folder,
                                 model::Epoch timeline, model::Offset start, model::Offset end)
{
    auto result =
        base::run({program.string(), "-p", folder.string(), "-t", std::to_string(timeline), "-s",
                   model::format_offset(start), "-e", model::format_offset(end)});
    if (!result.exit.success())
        throw Error(Code::failed, fmt::format("pg_waldump: {}", result.err));
    std::vector<WaldumpLine> lines;
    std::string_view out = result.out;
    while (!out.empty()) {
        auto size = std::min(out.find('\n'), out.size());
        if (out.starts_with("rmgr: ")) lines.push_back(parse_waldump(out.substr(0, size)));
        out.remove_prefix(std::min(size + 1, out.size()));
    }
    return lines;
}

std::vector<WalinspectRow> walinspect(engine::postgres::Connection& connection, model::Offset start,
                                      model::Offset end)
{
    auto result = connection.exec_params(
        "select start_lsn, end_lsn, prev_lsn, xid, resource_manager, record_length, "
        "main_data_length, fpi_length from public.pg_get_wal_records_info($1::pg_catalog.pg_lsn, "
        "$2::pg_catalog.pg_lsn) order by 1",
        {model::format_offset(start), model::format_offset(end)});
    std::vector<WalinspectRow> rows;
    auto number = [&](int row, int column) {
        return static_cast<std::uint32_t>(result.integer(row, column).value_or(0));
    };
    for (int i = 0; i < result.rows(); ++i)
        rows.push_back({.record = {.start = *result.lsn(i, 0),
                                   .previous = *result.lsn(i, 2),
                                   .xid = number(i, 3),
                                   .manager = std::string(result.get(i, 4)),
                                   .length = number(i, 5),
                                   .image_bytes = number(i, 7),
                                   .blocks = {}},
                        .end = *result.lsn(i, 1),
                        .main_length = number(i, 6)});
    return rows;
}

SegmentRun read_segments(const fs::path& folder, model::Epoch timeline, std::uint32_t segment_size)
{
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder))
        if (auto name = entry.path().filename().string();
            name.size() == 24 && name.starts_with(fmt::format("{:08X}", timeline)))
            names.insert(std::move(name));
    SegmentRun run;
    if (names.empty()) return run;
    std::uint64_t per_id = (std::uint64_t{1} << 32) / segment_size;
    const std::string& first = *names.begin();
    run.from = (std::stoull(first.substr(8, 8), nullptr, 16) * per_id +
                std::stoull(first.substr(16, 8), nullptr, 16)) *
               segment_size;
    for (model::Offset at = run.from; names.contains(segment_name(timeline, at, segment_size));
         at += segment_size) {
        auto bytes =
            base::read_file(folder / segment_name(timeline, at, segment_size), segment_size);
        run.bytes.insert(run.bytes.end(), bytes.begin(), bytes.end());
    }
    if (run.bytes.size() != names.size() * segment_size)
        throw Error(Code::failed, "the segments do not follow each other");
    return run;
}

} // namespace tidemark::test
