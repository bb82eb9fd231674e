// Our slots on the standbys that a member's url names: the last stored segment is kept there, too,
// so that a server that was failed over to can be compared with what is stored (rules.md 13, 14).

#include "engine/fake/fake_session.h"
#include "job/backup.h"
#include "job/mark.h"
#include "job/segment_testing.h"
#include "job/world_testing.h"
#include "repo/log_catalog.h"

#include <gtest/gtest.h>
#include <map>
#include <vector>

namespace tidemark::job {
namespace {

using engine::StandbyOrder;
using engine::fake::kSegmentSize;
using model::Offset;

/// What its slot may be told: the segment of the last stored byte stays.
Offset most_for_standbys(Offset stored)
{
    return stored % kSegmentSize == 0 ? stored - 1 : stored;
}

Offset stored_end(World& world, const std::string& member)
{
    auto catalog = repo::LogCatalog::load(world.storage(), {.group = "shop", .member = member});
    return catalog.durable_end(model::History(1)).value().offset;
}

/// Holds each order against what is stored by then.
class StandbySession final : public engine::fake::FakeSession {
public:
    StandbySession(World& world, const std::string& member, std::vector<Offset>& told)
        : FakeSession(world.engine().server(member)), world_(world), member_(member), told_(told)
    {
    }
    std::vector<engine::Standby> standbys(const StandbyOrder& order) override
    {
        if (order.what != StandbyOrder::What::keep_log) return {};
        EXPECT_LE(order.durable, most_for_standbys(stored_end(world_, member_))) << member_;
        told_.push_back(order.durable);
        return {};
    }

private:
    World& world_;
    std::string member_;
    std::vector<Offset>& told_;
};

class StandbyEngine final : public engine::Engine {
public:
    explicit StandbyEngine(World& world) : world_(world) {}
    std::string name() const override { return "fake"; }
    std::unique_ptr<engine::Session> connect(const engine::MemberConfig& member) override
    {
        return std::make_unique<StandbySession>(world_, member.name, told.at(member.name));
    }
    std::unique_ptr<engine::RestoreTarget> open_target(const engine::TargetConfig& target) override
    {
        return world_.engine().open_target(target);
    }
    std::unique_ptr<engine::LogDecoder> open_decoder(const engine::DecoderStart& start) override
    {
        return world_.engine().open_decoder(start);
    }

    std::map<std::string, std::vector<Offset>> told = {{"a", {}}, {"b", {}}}; ///< before threads

private:
    World& world_;
};

class StandbySlotsTest : public ::testing::Test {
protected:
    StandbySlotsTest()
    {
        context_.engine = [this](const model::MemberSpec&) -> engine::Engine& { return engine_; };
    }

    World world_;
    StandbyEngine engine_{world_};
    Context context_ = world_.context();
};

// rule 13, 14
TEST_F(StandbySlotsTest, KeepTheSegmentOfTheLastStoredByteAndNoMore)
{
    for (int round = 0; round < 3; ++round) {
        fill_segment(world_.server(0));
        back_up_log(context_);
        auto end = stored_end(world_, "a");
        ASSERT_EQ(end, world_.server(0).insert_position().offset);
        ASSERT_EQ(end % kSegmentSize, 0U);
        ASSERT_FALSE(engine_.told["a"].empty());
        EXPECT_EQ(engine_.told["a"].back(), end - 1);
        // Like the primary's own.
        EXPECT_EQ(world_.server(0).slot().restart, end - 1);

        world_.work();
        place_mark(context_, {});
        end = stored_end(world_, "a");
        ASSERT_NE(end % kSegmentSize, 0U);
        EXPECT_EQ(engine_.told["a"].back(), end) << "a standby's disk fills with what is stored";
        EXPECT_FALSE(engine_.told["b"].empty());
    }
}

// rule 14
TEST_F(StandbySlotsTest, AFullBackupTellsThemNoMoreEither)
{
    fill_segment(world_.server(0));
    back_up_group(context_, {});
    for (const char* member : {"a", "b"}) {
        ASSERT_FALSE(engine_.told[member].empty()) << member;
        EXPECT_EQ(engine_.told[member].back(), most_for_standbys(stored_end(world_, member)));
    }
}

} // namespace
} // namespace tidemark::job
