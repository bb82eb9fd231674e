// A piece that a paused owner of the lease "log" stores when it wakes up: wherever it ends, the
// next owner goes on from there.

#include "job/audit.h"
#include "job/mark.h"
#include "job/world_testing.h"
#include "repo/lease.h"
#include "repo/log_writer.h"
#include "repo/piece.h"

#include <gmock/gmock.h>

namespace tidemark::job {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

class LateOwnerTest : public testing::Test {
protected:
    LateOwnerTest() { place_mark(world_.context(), {}); }

    engine::fake::FakeServer& a() { return world_.server(0); }
    engine::fake::FakeServer& b() { return world_.server(1); }

    void store_late(model::Offset from, model::Offset to)
    {
        auto lease = repo::Lease::acquire(world_.storage(), "shop", "log",
                                          repo::LeaseOwner::this_process("late"), {});
        repo::LogWriter writer(world_.storage(), {.group = "shop", .member = "a"}, *lease,
                               model::LogPosition{1, from},
                               {.log_segment_size = engine::fake::kSegmentSize});
        repo::PieceBuilder piece({.engine = repo::EngineTag::postgresql,
                                  .system_id = 1,
                                  .segment_size = engine::fake::kSegmentSize,
                                  .version_num = 150000,
                                  .range = {1, from, from}},
                                 {});
        auto bytes = a().log(1, from, to);
        ASSERT_EQ(piece.append(bytes), bytes.size());
        auto decoder = world_.engine().open_decoder({.version_num = 150000,
                                                     .system_id = "1",
                                                     .log_segment_size = engine::fake::kSegmentSize,
                                                     .epoch = 1,
                                                     .range_from = from,
                                                     .feed_from = from,
                                                     .at_record = true});
        decoder->feed(from, bytes);
        writer.put(piece.finish(), decoder->take());
    }

    /// Members at which `gid` is in doubt at the next mark, which must be good.
    std::vector<std::string> in_doubt_next(const std::string& gid)
    {
        auto mark = place_mark(world_.context(), {}).mark;
        EXPECT_THAT(audit_mark(world_.context(), "latest").differences, IsEmpty());
        EXPECT_EQ(repo::newest_restorable(world_.view()), mark.number());
        world_.check_whole();
        std::vector<std::string> members;
        for (const auto& doubt : mark.value.at.in_doubt)
            if (doubt.branch.gid == gid) members.push_back(doubt.branch.member);
        return members;
    }

    World world_;
};

// rule 32
TEST_F(LateOwnerTest, ItsPiecesDoNoHarm)
{
    b().prepare("once");
    auto from = a().insert_position().offset;
    a().prepare("once");
    back_up_log(world_.context());
    a().noise(500);
    store_late(from, a().insert_position().offset);
    EXPECT_THAT(in_doubt_next("once"), SizeIs(2));
}

// rule 12
TEST_F(LateOwnerTest, ARecordThatItsPieceDoesNotEndIsReadWhole)
{
    back_up_log(world_.context());
    auto from = a().insert_position().offset;
    b().prepare("spans");
    a().prepare("spans");
    auto to = a().insert_position().offset - 5;
    store_late(from, to);
    ASSERT_EQ(
        repo::LogCatalog::load(world_.storage(), {"shop", "a"}).durable_end(model::History(1)),
        (model::LogPosition{1, to}));
    EXPECT_THAT(in_doubt_next("spans"), SizeIs(2));
}

} // namespace
} // namespace tidemark::job
