#include "contract/engine_contract.h"

#include "base/error.h"

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <set>
#include <thread>

namespace tidemark::engine {

namespace {

using base::Code;
using base::Error;
using std::chrono::steady_clock;

steady_clock::time_point in(std::chrono::milliseconds time)
{
    return steady_clock::now() + time;
}

template <typename Body> Code code_of(Body body)
{
    try {
        body();
    } catch (const Error& error) {
        return error.code();
    }
    return Code::ok;
}

/// Checks what every BackupSource promises to its sink.
class CheckingSink final : public BackupSink {
public:
    explicit CheckingSink(std::uint32_t workers) : busy_(workers) {}

    void file(const model::FileEntry& entry) override
    {
        const std::lock_guard lock(mutex_);
        EXPECT_TRUE(files_.emplace(entry.index, entry).second) << "announced twice: " << entry.path;
        EXPECT_TRUE(paths_.insert(entry.path).second) << entry.path;
        EXPECT_FALSE(entry.path.starts_with("/"));
        EXPECT_EQ(entry.path.find(".."), std::string::npos);
    }
    void extent(std::uint32_t worker, std::uint32_t index, std::uint64_t offset,
                base::ByteView bytes) override
    {
        ASSERT_LT(worker, busy_.size());
        EXPECT_FALSE(busy_[worker].exchange(true)) << "calls of one worker overlap";
        EXPECT_LE(bytes.size(), std::size_t{1} << 20);
        EXPECT_FALSE(bytes.empty());
        {
            const std::lock_guard lock(mutex_);
            extents_.emplace_back(index, offset, bytes.size());
            total_ += bytes.size();
        }
        busy_[worker] = false;
    }
    void check_extents()
    {
        std::ranges::sort(extents_);
        for (std::size_t i = 0; i < extents_.size(); ++i) {
            const auto [index, offset, size] = extents_[i];
            ASSERT_TRUE(files_.contains(index));
            EXPECT_LE(offset + size, files_[index].size) << files_[index].path;
            if (i > 0 && std::get<0>(extents_[i - 1]) == index) {
                EXPECT_LE(std::get<1>(extents_[i - 1]) + std::get<2>(extents_[i - 1]), offset);
            }
        }
    }
    std::set<std::string> paths_;
    std::uint64_t total_ = 0;

private:
    std::mutex mutex_;
    std::vector<std::atomic<bool>> busy_;
    std::map<std::uint32_t, model::FileEntry> files_;
    std::vector<std::tuple<std::uint32_t, std::uint64_t, std::size_t>> extents_;
};

} // namespace

EngineContract::~EngineContract()
{
    try {
        connect()->drop_slot();
    } catch (const std::exception& error) {
        ADD_FAILURE() << error.what();
    }
}

base::Bytes EngineContract::receive(Session& session, model::LogPosition from, model::Offset to)
{
    auto source = session.open_log(from);
    base::Bytes out;
    const auto deadline = in(std::chrono::seconds{30});
    while (from.offset + out.size() < to) {
        const auto chunk = source->next(deadline, {});
        if (!chunk) {
            ADD_FAILURE() << "the log ends at " << model::format_offset(from.offset + out.size());
            return out;
        }
        EXPECT_EQ(chunk->at, from.offset + out.size());
        out.insert(out.end(), chunk->bytes.begin(), chunk->bytes.end());
    }
    source->finish();
    out.resize(to - from.offset);
    return out;
}

model::Offset EngineContract::flush_all(Session& session)
{
    const auto end = session.insert_position().offset;
    session.ensure_flushed(end, in(std::chrono::seconds{30}));
    return end;
}

DecoderStart EngineContract::decoder_start(const Identity& identity,
                                           const model::LogPosition& from) const
{
    const auto floor = from.offset / identity.log_segment_size * identity.log_segment_size;
    return {.version_num = identity.version_num,
            .system_id = identity.system_id,
            .log_segment_size = identity.log_segment_size,
            .epoch = from.epoch,
            .range_from = floor,
            .feed_from = floor,
            .at_record = false};
}

model::LogIndex EngineContract::decode(Session& session, const model::LogPosition& from,
                                       std::size_t piece)
{
    const DecoderStart start = decoder_start(session.identify(), from);
    const auto end = flush_all(session);
    const auto bytes = receive(session, {from.epoch, start.feed_from}, end);
    auto decoder = under_test_.engine->open_decoder(start);
    for (std::size_t at = 0; at < bytes.size(); at += piece)
        decoder->feed(start.feed_from + at,
                      base::ByteView(bytes).subspan(at, std::min(piece, bytes.size() - at)));
    return decoder->take();
}

TEST_P(EngineContract, AMemberKnowsWhoItIs)
{
    auto session = connect();
    const auto first = session->identify();
    EXPECT_EQ(first.engine, under_test_.engine->name());
    EXPECT_NE(first.system_id, "");
    EXPECT_GT(first.version_num, 0);
    EXPECT_GE(first.log_segment_size, 1U << 12);
    EXPECT_EQ(first.log_segment_size & (first.log_segment_size - 1), 0U);
    EXPECT_GE(first.position.epoch, 1U);
    under_test_.noise();
    const auto second = connect()->identify();
    EXPECT_EQ(first.system_id, second.system_id);
    EXPECT_EQ(first.position.epoch, second.position.epoch);
    EXPECT_LT(first.position.offset, second.position.offset);
    EXPECT_FALSE(session->check().empty());
    EXPECT_EQ(session->history_file(1), std::nullopt);
    EXPECT_EQ(session->history_file(first.position.epoch + 1), std::nullopt);
}

TEST_P(EngineContract, ADeadlineBoundsEveryCall)
{
    auto session = connect();
    session->set_deadline(in(std::chrono::seconds{30}));
    EXPECT_NO_THROW(session->insert_position());
    session->set_deadline(steady_clock::time_point::max());
    EXPECT_NO_THROW(session->insert_position());
}

TEST_P(EngineContract, SlotsHoldTheLogFromTheirRestartOn)
{
    auto session = connect();
    EXPECT_FALSE(session->slot().exists);
    const auto bound = session->slot().bound_bytes;
    EXPECT_TRUE(bound.has_value()) << "init asks before it makes a slot";
    const auto restart = session->create_slot();
    EXPECT_EQ(session->slot().bound_bytes, bound);
    EXPECT_LE(restart.offset, session->insert_position().offset);
    const auto state = session->slot();
    EXPECT_TRUE(state.exists);
    EXPECT_FALSE(state.active);
    EXPECT_FALSE(state.lost);
    EXPECT_EQ(state.restart, restart.offset);
    EXPECT_EQ(code_of([&] { session->create_slot(); }), Code::member_not_ready);
    {
        auto source = session->open_log(restart);
        EXPECT_EQ(code_of([&] { connect()->open_log(restart); }), Code::member_not_ready);
        source->finish();
    }
    session->drop_slot();
    EXPECT_FALSE(session->slot().exists);
    EXPECT_EQ(code_of([&] { session->open_log(restart); }), Code::log_gap);
    EXPECT_NO_THROW(session->drop_slot());
}

TEST_P(EngineContract, TheLogHasNoGapFromAnyPosition)
{
    auto session = connect();
    const auto restart = session->create_slot();
    under_test_.noise();
    const auto end = flush_all(*session);
    const auto all = receive(*session, restart, end);
    for (const std::size_t skip :
         {std::size_t{1}, std::size_t{8192}, all.size() / 2, all.size() - 1}) {
        const auto part = receive(*session, {restart.epoch, restart.offset + skip}, end);
        EXPECT_TRUE(std::ranges::equal(part, base::ByteView(all).subspan(skip))) << skip;
    }
    EXPECT_EQ(session->slot().restart, restart.offset) << "reading alone must not move the slot";
}

TEST_P(EngineContract, TheSlotFollowsConfirmationsExactly)
{
    auto session = connect();
    const auto restart = session->create_slot();
    under_test_.noise();
    const auto end = flush_all(*session);
    auto source = session->open_log(restart);
    model::Offset got = restart.offset;
    while (got < end) {
        const auto chunk = source->next(in(std::chrono::seconds{30}), {});
        ASSERT_TRUE(chunk.has_value());
        got += chunk->bytes.size();
    }
    EXPECT_GE(source->server_end(), end);
    source->confirm(restart.offset + 1000);
    EXPECT_EQ(source->finish(), restart.offset + 1000);
    EXPECT_EQ(session->slot().restart, restart.offset + 1000);
}

TEST_P(EngineContract, WaitingForLogEndsAtTheDeadlineAndWhenStopped)
{
    auto session = connect();
    const auto restart = session->create_slot();
    auto source = session->open_log(restart);
    while (source->next(in(std::chrono::milliseconds{300}), {})) {
    }
    std::stop_source stop;
    std::jthread stopper([&] { stop.request_stop(); });
    EXPECT_EQ(source->next(in(std::chrono::minutes{5}), stop.get_token()), std::nullopt);
    EXPECT_EQ(source->switched(), std::nullopt);
    source->finish();
}

TEST_P(EngineContract, RestorePointsStandInTheLogWhereTheServerSays)
{
    auto session = connect();
    const auto restart = session->create_slot();
    const auto before = session->insert_position();
    const std::string name = "tidemark 'contract' " + model::format_offset(before.offset);
    const auto point = session->place_restore_point(name);
    const auto after = session->insert_position();
    EXPECT_EQ(point.end.epoch, before.epoch);
    const auto index = decode(*session, restart, 1000);
    const auto found =
        std::ranges::find(index.restore_points, name, &model::RestorePointEvent::name);
    ASSERT_NE(found, index.restore_points.end());
    EXPECT_EQ(found->end, point.end.offset);
    EXPECT_GE(found->start, before.offset);
    EXPECT_LE(found->end, after.offset);
    EXPECT_EQ(code_of([&] { session->place_restore_point(std::string(64, 'x')); }), Code::usage);
}

TEST_P(EngineContract, DistributedTransactionsStandInTheLog)
{
    auto session = connect();
    const auto restart = session->create_slot();
    for (const char* gid : {"contract-commit", "contract-rollback", "contract-open"})
        under_test_.prepare(gid);
    const auto open = session->prepared();
    EXPECT_EQ(open.size(), 3U);
    under_test_.finish("contract-commit", true);
    under_test_.finish("contract-rollback", false);
    const auto left = session->prepared();
    ASSERT_EQ(left.size(), 1U);
    EXPECT_EQ(left[0].gid, "contract-open");
    const auto index = decode(*session, restart, 777);
    std::map<std::string, model::TransactionEvent> prepared;
    std::map<std::uint32_t, model::EventKind> finished;
    for (const auto& event : index.transactions) {
        EXPECT_LT(event.start, event.end);
        if (event.kind == model::EventKind::prepare)
            prepared[event.gid] = event;
        else
            finished[event.xid] = event.kind;
    }
    ASSERT_EQ(prepared.size(), 3U);
    EXPECT_EQ(finished[prepared["contract-commit"].xid], model::EventKind::commit);
    EXPECT_EQ(finished[prepared["contract-rollback"].xid], model::EventKind::rollback);
    EXPECT_FALSE(finished.contains(prepared["contract-open"].xid));
    EXPECT_EQ(prepared["contract-open"].xid, left[0].xid);
    EXPECT_EQ(prepared["contract-open"].database, left[0].database_oid);
    EXPECT_EQ(prepared["contract-open"].owner, left[0].owner_oid);
    under_test_.finish("contract-open", false);
}

TEST_P(EngineContract, TheIndexDoesNotDependOnHowTheLogIsCut)
{
    auto session = connect();
    const auto restart = session->create_slot();
    under_test_.noise();
    under_test_.prepare("contract-cut");
    under_test_.finish("contract-cut", true);
    const DecoderStart start = decoder_start(session->identify(), restart);
    const auto end = flush_all(*session);
    const auto bytes = receive(*session, {restart.epoch, start.feed_from}, end);
    auto whole = under_test_.engine->open_decoder(start);
    whole->feed(start.feed_from, bytes);
    const auto expected = whole->take();
    EXPECT_EQ(expected.range.from, start.range_from);
    EXPECT_EQ(expected.range.to, end);

    std::vector<model::TransactionEvent> events;
    std::uint64_t records = 0;
    constexpr std::array<std::size_t, 4> kPieces{10007, 64, 50001, 8192};
    DecoderStart resumed = start;
    std::size_t at = 0;
    for (std::size_t round = 0; at < bytes.size(); ++round) {
        const std::size_t size = std::min(kPieces[round % kPieces.size()], bytes.size() - at);
        // A new decoder for each piece: it begins where the last index says that a record is open.
        auto decoder = under_test_.engine->open_decoder(resumed);
        const auto from = resumed.feed_from - start.feed_from;
        decoder->feed(resumed.feed_from, base::ByteView(bytes).subspan(from, at + size - from));
        const auto index = decoder->take();
        EXPECT_EQ(index.range.from, start.feed_from + at);
        EXPECT_EQ(index.range.to, start.feed_from + at + size);
        events.insert(events.end(), index.transactions.begin(), index.transactions.end());
        records += index.records;
        at += size;
        resumed.range_from = index.range.to;
        resumed.feed_from = index.unfinished.value_or(index.range.to);
        resumed.at_record = true;
    }
    EXPECT_EQ(events, expected.transactions);
    EXPECT_EQ(records, expected.records);
}

TEST_P(EngineContract, CorruptedLogIsAnError)
{
    auto session = connect();
    const auto restart = session->create_slot();
    under_test_.noise();
    const DecoderStart start = decoder_start(session->identify(), restart);
    const auto end = flush_all(*session);
    auto bytes = receive(*session, {restart.epoch, start.feed_from}, end);
    bytes[bytes.size() * 3 / 4] ^= std::byte{0x10};
    auto decoder = under_test_.engine->open_decoder(start);
    EXPECT_NE(code_of([&] { decoder->feed(start.feed_from, bytes); }), Code::ok);
    auto skipping = under_test_.engine->open_decoder(start);
    EXPECT_EQ(code_of([&] { skipping->feed(start.feed_from + 8192, bytes); }), Code::log_gap);
}

TEST_P(EngineContract, ABackupDeliversEveryFileOnce)
{
    auto session = connect();
    session->create_slot();
    under_test_.prepare("contract-backup");
    const auto xid = session->prepared().at(0).xid;
    const auto before = session->insert_position();
    auto backup = session->begin_backup({.label = "contract", .workers = 3});
    EXPECT_EQ(backup->begin().start.epoch, before.epoch);
    EXPECT_GT(backup->begin().start.offset, 0U);
    under_test_.noise();
    CheckingSink sink(3);
    std::atomic<std::uint64_t> progress{0};
    backup->copy(sink, progress, {});
    const auto facts = backup->facts();
    EXPECT_NE(facts.bootstrap_superuser, "");
    EXPECT_FALSE(facts.databases.empty());
    const auto end = backup->finish();
    sink.check_extents();
    EXPECT_GT(sink.total_, 0U);
    EXPECT_TRUE(sink.paths_.contains("PG_VERSION"));
    EXPECT_GT(end.stop.offset, backup->begin().start.offset);
    EXPECT_GE(end.stop.offset, before.offset);
    EXPECT_LE(end.stop.offset, session->insert_position().offset);
    EXPECT_NE(end.backup_label, "");
    EXPECT_TRUE(end.damaged.empty());
    EXPECT_NE(std::ranges::find(end.prepared_xids, xid), end.prepared_xids.end());
    under_test_.finish("contract-backup", false);
}

TEST_P(EngineContract, AnAbandonedBackupLeavesNothingBehind)
{
    auto session = connect();
    session->create_slot();
    for (int round = 0; round < 3; ++round) {
        auto backup = session->begin_backup({.label = "abandoned"});
        EXPECT_GT(backup->begin().start.offset, 0U);
    }
    std::stop_source stop;
    stop.request_stop();
    auto backup = session->begin_backup({.label = "stopped"});
    CheckingSink sink(2);
    std::atomic<std::uint64_t> progress{0};
    EXPECT_EQ(code_of([&] { backup->copy(sink, progress, stop.get_token()); }), Code::cancelled);
}

} // namespace tidemark::engine
