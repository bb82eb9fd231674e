// Log that the decoder cannot read is stored all the same; marks that need it are not placed, marks
// after it say so, and a program that can read it heals the index.

#include "job/audit.h"
#include "job/expire.h"
#include "job/index_maker.h"
#include "job/mark.h"
#include "job/reindex.h"
#include "job/world_testing.h"
#include "repo/log_reader.h"

namespace tidemark::job {
namespace {

using base::Code;
using base::Error;

/// A decoder that does not understand log that touches `from` to `to`.
class Blind final : public engine::LogDecoder {
public:
    Blind(std::unique_ptr<engine::LogDecoder> inner, model::Offset from, model::Offset to)
        : inner_(std::move(inner)), from_(from), to_(to)
    {
    }
    void feed(model::Offset at, base::ByteView bytes) override
    {
        if (at < to_ && at + bytes.size() > from_) {
            if (at < from_) inner_->feed(at, bytes.first(from_ - at));
            throw Error{Code::failed, "a record of tomorrow"};
        }
        inner_->feed(at, bytes);
    }
    model::LogIndex take() override { return inner_->take(); }
    model::Offset readable_to() const override { return from_; }

private:
    std::unique_ptr<engine::LogDecoder> inner_;
    model::Offset from_, to_;
};

class BlindEngine final : public engine::Engine {
public:
    explicit BlindEngine(engine::Engine& inner) : inner_(inner) {}
    std::string name() const override { return inner_.name(); }
    std::unique_ptr<engine::Session> connect(const engine::MemberConfig& member) override
    {
        return inner_.connect(member);
    }
    std::unique_ptr<engine::RestoreTarget> open_target(const engine::TargetConfig& target) override
    {
        return inner_.open_target(target);
    }
    std::unique_ptr<engine::LogDecoder> open_decoder(const engine::DecoderStart& start) override
    {
        auto inner = inner_.open_decoder(start);
        if (to == 0) return inner;
        return std::make_unique<Blind>(std::move(inner), from, to);
    }

    model::Offset from = 0, to = 0;

private:
    engine::Engine& inner_;
};

class UnreadTest : public ::testing::Test {
protected:
    UnreadTest() : engine_(world_.context().engine(world_.group().members[0])) {}

    /// A program that cannot read what member "a" writes next.
    Context context()
    {
        auto context = world_.context();
        context.engine =
            [this, plain = context.engine](const model::MemberSpec& member) -> engine::Engine& {
            return member.name == "a" ? engine_ : plain(member);
        };
        return context;
    }
    void blind_from_here()
    {
        engine_.from = world_.server(0).insert_position().offset;
        world_.work();
        engine_.to = world_.server(0).insert_position().offset;
    }
    repo::LogCatalog catalog() { return repo::LogCatalog::load(world_.storage(), {"shop", "a"}); }
    std::vector<model::UnreadLog> holes()
    {
        repo::LogReader reader(world_.storage(), catalog());
        std::vector<model::UnreadLog> all;
        for (const auto& piece : reader.catalog().pieces)
            for (auto& hole : reader.index(piece, {}).unread)
                all.push_back(std::move(hole));
        return all;
    }

    World world_;
    BlindEngine engine_;
};

TEST_F(UnreadTest, TheBytesAreStoredAndTheMarkThatNeedsThemIsNotPlaced)
{
    blind_from_here();
    auto marks = repo::Marks(world_.storage(), "shop").numbers().size();
    back_up_log(context());
    EXPECT_FALSE(world_.progress().warnings().empty());
    auto end = catalog().durable_end(model::History(1));
    ASSERT_TRUE(end);
    EXPECT_GE(end->offset, engine_.to);
    EXPECT_EQ(*world_.server(0).slot().restart, end->offset) << "the server was not told";
    ASSERT_FALSE(holes().empty());
    EXPECT_EQ(holes().front().from, engine_.from);
    EXPECT_NE(holes().front().why.find("a record of tomorrow"), std::string::npos);
    try {
        place_mark(context(), {});
        FAIL() << "a mark without its log";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::mark_not_placed);
        EXPECT_NE(std::string(error.what()).find("a record of tomorrow"), std::string::npos);
    }
    EXPECT_EQ(repo::Marks(world_.storage(), "shop").numbers().size(), marks);
    auto report = repo::verify(world_.repository(), "shop");
    EXPECT_TRUE(report.ok());
    ASSERT_FALSE(report.notes.empty());
    EXPECT_NE(report.notes.front().find("could not read"), std::string::npos);
}

TEST_F(UnreadTest, AMarkAfterItSaysThatItIsNotProven)
{
    blind_from_here();
    back_up_log(context());
    world_.server(0).noise(std::size_t{2} * engine::fake::kSegmentSize);
    auto outcome = place_mark(context(), {.name = "after"});
    bool told = false;
    for (const auto& violation : outcome.mark.value.violations)
        told = told || violation.kind == model::ViolationKind::log_unread;
    EXPECT_TRUE(told);
    // "t2" was prepared, and perhaps finished, in log that was not read: nothing is rolled back.
    for (const auto& doubt : outcome.mark.value.at.in_doubt)
        EXPECT_NE(doubt.verdict.decision, model::Decision::rollback) << doubt.branch.gid;
    EXPECT_FALSE(audit_mark(context(), "after").good());
    EXPECT_EQ(repo::Marks(world_.storage(), "shop").need("after").value.violations,
              outcome.mark.value.violations);
}

// rule 36
TEST_F(UnreadTest, JoiningSmallPiecesForgetsNoHole)
{
    blind_from_here();
    back_up_log(context());
    world_.server(0).noise(std::size_t{2} * engine::fake::kSegmentSize);
    place_mark(context(), {.name = "after"});
    auto before = holes();
    ASSERT_FALSE(before.empty());
    auto pieces = catalog().pieces.size();
    world_.clock().advance(std::chrono::hours{2});
    ExpireOptions options{.sleep = [this](base::Duration time) { world_.clock().advance(time); }};
    options.grace = options.settle;
    options.join_at_least = 2;
    EXPECT_GT(expire(world_.context(), options).joined, 0U);
    ASSERT_LT(catalog().pieces.size(), pieces) << "they are gone, the joined one counts";
    EXPECT_EQ(holes(), before);
    EXPECT_FALSE(repo::verify(world_.repository(), "shop").notes.empty());
    EXPECT_GE(reindex(world_.context()).rebuilt, 1U);
    EXPECT_TRUE(holes().empty());
    world_.check_whole();
}

TEST_F(UnreadTest, ANewerProgramHealsIt)
{
    blind_from_here();
    back_up_log(context());
    EXPECT_FALSE(reindex(context()).problems.empty());
    auto healed = reindex(world_.context());
    EXPECT_TRUE(healed.problems.empty());
    EXPECT_GE(healed.rebuilt, 1U);
    EXPECT_TRUE(holes().empty());
    auto outcome = place_mark(world_.context(), {.name = "healed"});
    EXPECT_TRUE(outcome.mark.value.violations.empty());
    EXPECT_TRUE(audit_mark(world_.context(), "healed").good());
}

} // namespace
} // namespace tidemark::job
