#include "integration/wal_oracle.h"
#include "integration/wal_workload.h"

#include "app/demo/lab_cluster.h"
#include "app/demo/lab_folder.h"
#include "base/error.h"
#include "base/fd.h"
#include "engine/postgres/wal/decoder.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>

/// The log reader against real servers and their own tools. Runs with whatever PostgreSQL is found
/// (TIDEMARK_POSTGRES_BIN chooses); pg_waldump and pg_walinspect are asked where they exist, and
/// everywhere every CRC, every link and every restore point's end must be right.
namespace tidemark::test {
namespace {

namespace fs = std::filesystem;
namespace wal = engine::postgres::wal;
using app::LabCluster;
using app::LabFolder;
using engine::postgres::Connection;
using model::EventKind;
using model::LogIndex;
using model::LogNoticeKind;
using model::Offset;
using testing::Contains;
using testing::Field;
using testing::HasSubstr;

/// One record in the oracle's words, with what the oracle does not show.
struct Seen {
    OracleRecord words;
    Offset end = 0;
    std::uint32_t main_length = 0;
    std::uint8_t info = 0;
    friend bool operator==(const Seen&, const Seen&) = default;
};

class Collector final : public wal::RecordVisitor {
public:
    void record(const wal::Record& record) override
    {
        seen.push_back({in_oracle_words(record), record.end,
                        static_cast<std::uint32_t>(record.main_data.size()), record.info});
    }
    std::vector<Seen> seen;
};

wal::LogIdentity identity_of(const SegmentRun& run, model::Epoch timeline)
{
    auto identity = wal::identify_segment(run.bytes);
    EXPECT_TRUE(identity.has_value());
    identity->timeline = timeline;
    return *identity;
}

/// Reads [run.from, end) in pieces of random size.
std::vector<Seen> read_all(const SegmentRun& run, model::Epoch timeline, Offset end,
                           std::mt19937& random, std::size_t largest)
{
    Collector collector;
    wal::WalReader reader(identity_of(run, timeline), {.at = run.from}, collector);
    for (Offset at = run.from; at < end;) {
        Offset next = std::min<Offset>(end, at + 1 + random() % largest);
        wal::Status status = reader.feed(at, run.view(at, next));
        if (status.state != wal::State::ok && status.state != wal::State::need_more) {
            ADD_FAILURE() << wal::format_status(status);
            break;
        }
        at = next;
    }
    return std::move(collector.seen);
}

engine::DecoderStart decoder_start(const SegmentRun& run, model::Epoch timeline)
{
    auto identity = identity_of(run, timeline);
    engine::DecoderStart start;
    start.version_num = identity.layout->major * 10000;
    start.system_id = std::to_string(*identity.system_id);
    start.log_segment_size = identity.segment_size;
    start.epoch = timeline;
    start.range_from = run.from;
    start.feed_from = run.from;
    return start;
}

LogIndex index_all(const SegmentRun& run, model::Epoch timeline, Offset end)
{
    wal::IndexBuilder builder(decoder_start(run, timeline));
    builder.feed(run.from, run.view(run.from, end));
    return builder.take();
}

/// Cuts the log at random positions, each range read by a builder of its own.
void expect_same_in_ranges(const SegmentRun& run, model::Epoch timeline, const LogIndex& whole,
                           std::mt19937& random)
{
    LogIndex sum;
    auto start = decoder_start(run, timeline);
    while (start.range_from < whole.range.to) {
        Offset to = std::min<Offset>(whole.range.to, start.range_from + 1 + random() % 3'000'000);
        wal::IndexBuilder builder(start);
        builder.feed(start.feed_from, run.view(start.feed_from, to));
        LogIndex part = builder.take();
        EXPECT_EQ(part.range, (model::LogRange{timeline, start.range_from, to}));
        sum.records += part.records;
        sum.commits += part.commits;
        sum.rollbacks += part.rollbacks;
        sum.full_page_images += part.full_page_images;
        for (auto& event : part.transactions)
            sum.transactions.push_back(std::move(event));
        for (auto& point : part.restore_points)
            sum.restore_points.push_back(std::move(point));
        start.range_from = to;
        start.feed_from = part.unfinished.value_or(to);
        start.at_record = true;
    }
    EXPECT_EQ(sum.records, whole.records);
    EXPECT_EQ(sum.commits, whole.commits);
    EXPECT_EQ(sum.rollbacks, whole.rollbacks);
    EXPECT_EQ(sum.full_page_images, whole.full_page_images);
    EXPECT_EQ(sum.transactions, whole.transactions);
    EXPECT_EQ(sum.restore_points, whole.restore_points);
}

/// The index's transactions as pg_waldump describes them; it never shows a gid at the end.
void expect_transactions(const std::vector<WaldumpLine>& lines, const LogIndex& index)
{
    std::uint64_t commits = 0;
    std::uint64_t rollbacks = 0;
    std::vector<std::string> expected;
    for (const WaldumpLine& line : lines) {
        if (line.record.manager != "Transaction") continue;
        std::string_view what = line.description;
        commits += what.starts_with("COMMIT") ? 1U : 0U;
        rollbacks += what.starts_with("ABORT") ? 1U : 0U;
        std::string start = model::format_offset(line.record.start);
        if (what.starts_with("PREPARE "))
            expected.push_back(start + " PREPARE " +
                               std::string(what.substr(12, what.find(": ") - 12)));
        else if (what.starts_with("COMMIT_PREPARED ") || what.starts_with("ABORT_PREPARED "))
            expected.push_back(start + " " + std::string(what.substr(0, what.find(": "))));
    }
    std::vector<std::string> ours;
    for (const auto& event : index.transactions) {
        std::string start = model::format_offset(event.start);
        if (event.kind == EventKind::prepare)
            ours.push_back(fmt::format("{} PREPARE {}", start, event.gid));
        else
            ours.push_back(fmt::format("{} {}_PREPARED {}", start,
                                       event.kind == EventKind::commit ? "COMMIT" : "ABORT",
                                       event.xid));
    }
    EXPECT_EQ(ours, expected);
    EXPECT_EQ(index.commits, commits);
    EXPECT_EQ(index.rollbacks, rollbacks);
}

/// Every oracle this server has, on [run.from, end).
void expect_oracles_agree(LabCluster& cluster, const SegmentRun& run, model::Epoch timeline,
                          Offset end, const std::vector<Seen>& seen, const LogIndex& index)
{
    fs::path program = cluster.install().bin / "pg_waldump";
    if (fs::exists(program)) {
        auto lines = waldump(program, cluster.data_dir() / "pg_wal", timeline, run.from, end);
        ASSERT_EQ(lines.size(), seen.size());
        for (std::size_t i = 0; i < seen.size(); ++i)
            ASSERT_EQ(lines[i].record, seen[i].words);
        expect_transactions(lines, index);
        std::printf("[ pg_waldump agrees on %zu records ]\n", lines.size());
    }
    auto connection = Connection::open(cluster.url());
    auto known =
        connection.exec("select from pg_available_extensions where name = 'pg_walinspect'");
    if (known.rows() == 0 || seen.empty()) return;
    connection.exec("create extension if not exists pg_walinspect schema public");
    auto rows = walinspect(connection, seen.front().words.start, end);
    ASSERT_EQ(rows.size(), seen.size());
    for (std::size_t i = 0; i < seen.size(); ++i) {
        OracleRecord words = seen[i].words;
        words.blocks.clear();
        ASSERT_EQ(rows[i].record, words);
        ASSERT_EQ(rows[i].end, seen[i].end) << words;
        ASSERT_EQ(rows[i].main_length, seen[i].main_length) << words;
    }
    std::printf("[ pg_walinspect agrees on %zu records ]\n", rows.size());
}

void expect_points(const WrittenLog& log, const LogIndex& index)
{
    ASSERT_EQ(index.restore_points.size(), log.points.size());
    for (std::size_t i = 0; i < log.points.size(); ++i) {
        EXPECT_EQ(index.restore_points[i].name, log.points[i].name);
        EXPECT_EQ(index.restore_points[i].end, log.points[i].end) << log.points[i].name;
    }
}

std::uint32_t segment_bytes(int megabytes)
{
    return static_cast<std::uint32_t>(megabytes) << 20;
}

class WalOracleTest : public testing::Test {
protected:
    std::mt19937& random()
    {
        std::printf("[ seed %u ]\n", seed_);
        return random_;
    }

    LabFolder folder_;
    std::uint32_t seed_ = std::random_device{}();
    std::mt19937 random_{seed_};
};

struct Kind {
    const char* wal_level;
    int segment_mb;
};
class WalOracleLevels : public WalOracleTest, public testing::WithParamInterface<Kind> {};

TEST_P(WalOracleLevels, EveryRecordIsReadAsTheServerReadsIt)
{
    auto [wal_level, segment_mb] = GetParam();
    LabCluster cluster{{.name = "one",
                        .folder = folder_.path(),
                        .settings = {{"wal_level", wal_level}, {"wal_keep_size", "2GB"}},
                        .wal_segment_mb = segment_mb}};
    cluster.start();
    WrittenLog log = write_log(cluster, 1);
    SegmentRun run = read_segments(cluster.data_dir() / "pg_wal", 1, segment_bytes(segment_mb));
    ASSERT_GE(run.to(), log.end);

    auto& chance = random();
    auto seen = read_all(run, 1, log.end, chance, SIZE_MAX);
    ASSERT_GT(seen.size(), 5000U);
    for (std::size_t largest : {3U, 100U, 30'000U, 3'000'000U})
        ASSERT_EQ(read_all(run, 1, log.end, chance, largest), seen) << largest;
    LogIndex index = index_all(run, 1, log.end);
    EXPECT_EQ(index.records, seen.size());
    expect_points(log, index);
    expect_same_in_ranges(run, 1, index, chance);
    expect_oracles_agree(cluster, run, 1, log.end, seen, index);

    auto finished = [&](const auto& event) { return event.kind != EventKind::prepare; };
    EXPECT_GT(std::ranges::count_if(index.transactions, finished), 20);
    for (const auto& event : index.transactions)
        EXPECT_EQ(event.gid.empty(), finished(event) && std::string_view(wal_level) != "logical");
    EXPECT_THAT(index.transactions,
                Contains(Field(&model::TransactionEvent::gid, std::string(199, 'g'))));
}

INSTANTIATE_TEST_SUITE_P(Levels, WalOracleLevels,
                         testing::Values(Kind{"replica", 16}, Kind{"logical", 1}),
                         [](const auto& kind) { return std::string(kind.param.wal_level); });

TEST_F(WalOracleTest, ARecordTornByACrashIsLeftOut)
{
    LabCluster cluster{{.name = "one",
                        .folder = folder_.path(),
                        .settings = {{"wal_keep_size", "1GB"}, {"autovacuum", "off"}},
                        .wal_segment_mb = 1}};
    cluster.start();
    {
        auto connection = Connection::open(cluster.url());
        connection.exec("checkpoint");
        connection.exec("select pg_switch_wal()");
        connection.exec("select pg_logical_emit_message(true, 'tidemark', repeat('m', 3000000))");
    }
    Offset flushed = flush_log(cluster);
    cluster.kill9();

    // The machine lost the end of the message: its last segments never reached the disk.
    fs::path pg_wal = cluster.data_dir() / "pg_wal";
    Offset torn = 0;
    for (const Seen& one :
         read_all(read_segments(pg_wal, 1, segment_bytes(1)), 1, flushed, random(), SIZE_MAX))
        if (one.words.length > 3'000'000) torn = one.words.start;
    ASSERT_NE(torn, 0U);
    std::string last_kept = fmt::format("{:08X}{:08X}{:08X}", 1, 0, (torn >> 20) + 1);
    for (const auto& entry : fs::directory_iterator(pg_wal))
        if (entry.is_regular_file() && entry.path().filename().string() > last_kept)
            fs::remove(entry.path());

    cluster.start();
    Offset end = flush_log(cluster);
    SegmentRun run = read_segments(pg_wal, 1, segment_bytes(1));
    auto seen = read_all(run, 1, end, random_, 1'000'000);
    bool replaced = false;
    for (const Seen& one : seen) {
        EXPECT_NE(one.words.start, torn);
        replaced |= one.words.manager == "XLOG" &&
                    one.info == static_cast<std::uint8_t>(wal::XlogInfo::overwrite_contrecord);
    }
    EXPECT_TRUE(replaced) << "the server did not see the torn record";
    EXPECT_EQ(read_all(run, 1, end, random_, 1000), seen);
    LogIndex index = index_all(run, 1, end);
    expect_same_in_ranges(run, 1, index, random_);
    expect_oracles_agree(cluster, run, 1, end, seen, index);
}

TEST_F(WalOracleTest, ChangesThatLimitTheLogAreNoticed)
{
    LabCluster cluster{{.name = "one",
                        .folder = folder_.path(),
                        .settings = {{"wal_keep_size", "1GB"}},
                        .wal_segment_mb = 1}};
    cluster.start();
    cluster.configure({{"wal_level", "minimal"}, {"max_wal_senders", "0"}});
    cluster.restart();
    cluster.configure({{"wal_level", "replica"}, {"max_wal_senders", "7"}});
    cluster.restart();
    Offset left_at = flush_log(cluster);

    cluster.stop();
    auto signal = cluster.data_dir() / "standby.signal";
    base::replace_file(signal, {});
    app::give_to_lab_user(signal);
    cluster.start();
    auto connection = Connection::open(cluster.url());
    connection.exec("select pg_promote()");
    connection.exec("select pg_logical_emit_message(true, 'tidemark', repeat('m', 20000))");
    Offset end = flush_log(cluster);

    fs::path pg_wal = cluster.data_dir() / "pg_wal";
    SegmentRun parent = read_segments(pg_wal, 1, segment_bytes(1));
    LogIndex before = index_all(parent, 1, left_at);
    auto detail = [](LogNoticeKind kind, const std::string& part) {
        return testing::AllOf(Field(&model::LogNotice::kind, kind),
                              Field(&model::LogNotice::detail, HasSubstr(part)));
    };
    EXPECT_THAT(before.notices,
                Contains(detail(LogNoticeKind::parameter_change,
                                "max_wal_senders=0 max_prepared_transactions=200")));
    EXPECT_THAT(before.notices,
                Contains(detail(LogNoticeKind::wal_level_minimal, "wal_level=minimal")));
    EXPECT_THAT(before.notices,
                Contains(detail(LogNoticeKind::parameter_change,
                                "max_wal_senders=7 max_prepared_transactions=200")));

    // The child's first segment begins with its parent's pages.
    SegmentRun child = read_segments(pg_wal, 2, segment_bytes(1));
    auto seen = read_all(child, 2, end, random(), 10'000);
    LogIndex after = index_all(child, 2, end);
    EXPECT_THAT(after.notices,
                Contains(detail(LogNoticeKind::end_of_recovery, "timeline 2 from 1")));
    expect_oracles_agree(cluster, child, 2, end, seen, after);

    // The child's log is not taken for its parent's.
    wal::IndexBuilder mistaken(decoder_start(child, 1));
    EXPECT_THROW(mistaken.feed(child.from, child.view(child.from, end)), base::Error);
}

TEST_F(WalOracleTest, TheEndOfAStoppedServersLogIsFound)
{
    LabCluster cluster{{.name = "one", .folder = folder_.path(), .wal_segment_mb = 1}};
    cluster.start();
    Offset end = flush_log(cluster);
    cluster.stop();
    SegmentRun run = read_segments(cluster.data_dir() / "pg_wal", 1, segment_bytes(1));
    Collector collector;
    wal::WalReader reader(identity_of(run, 1), {.at = run.from}, collector);
    wal::Status status = reader.feed(run.from, run.bytes);
    EXPECT_EQ(status.state, wal::State::end_of_log) << wal::format_status(status);
    ASSERT_FALSE(collector.seen.empty());
    EXPECT_EQ(status.where, collector.seen.back().end);
    EXPECT_GE(status.where, end);
    EXPECT_EQ(collector.seen.back().words.manager, "XLOG") << "the shutdown checkpoint";
}

} // namespace
} // namespace tidemark::test
