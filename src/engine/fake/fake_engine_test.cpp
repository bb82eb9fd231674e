#include "engine/fake/fake_engine.h"

#include "base/error.h"
#include "base/fd.h"
#include "base/temp_dir.h"
#include "engine/fake/fake_session.h"

#include <gtest/gtest.h>
#include <thread>

namespace tidemark::engine::fake {
namespace {

using base::Code;
using base::Error;
using std::chrono::steady_clock;

template <typename Body> Code code_of(Body body)
{
    try {
        body();
    } catch (const Error& error) {
        return error.code();
    }
    return Code::ok;
}

TEST(FakeRecord, RoundTripsAndRefusesFlippedBits)
{
    const Record record{.kind = RecordKind::prepare,
                        .xid = 7,
                        .at = base::Time{base::Duration{42}},
                        .database = 5,
                        .owner = 10,
                        .text = "gid"};
    const auto bytes = encode_record(record);
    EXPECT_EQ(decode_record(bytes)->record, record);
    EXPECT_EQ(decode_record(base::ByteView(bytes).first(bytes.size() - 1)), std::nullopt);
    for (std::size_t bit = 32; bit < bytes.size() * 8; ++bit) {
        auto flipped = bytes;
        flipped[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
        EXPECT_EQ(code_of([&] { decode_record(flipped); }), Code::failed) << bit;
    }
}

TEST(FakeServerTest, FaultsHitWhereTheyAreAskedFor)
{
    FakeEngine engine;
    auto server = engine.add_server({.name = "a"});
    auto session = engine.connect(FakeEngine::member("a"));
    server->fail("insert_position", Error{Code::failed, "boom"}, 1);
    EXPECT_NO_THROW(session->insert_position());
    EXPECT_EQ(code_of([&] { session->insert_position(); }), Code::failed);
    EXPECT_NO_THROW(session->insert_position());
    server->set_unreachable(true);
    EXPECT_EQ(code_of([&] { session->clock(); }), Code::member_unreachable);
    EXPECT_EQ(code_of([&] { engine.connect(FakeEngine::member("a")); }), Code::member_unreachable);
    server->set_unreachable(false);
    server->set_hanging("clock", true);
    session->set_deadline(steady_clock::now() + std::chrono::milliseconds{50});
    EXPECT_EQ(code_of([&] { session->clock(); }), Code::member_unreachable);
    session->set_deadline(steady_clock::time_point::max());
    std::jthread release([&] { server->set_hanging("clock", false); });
    EXPECT_NO_THROW(session->clock());
    std::vector<std::string> seen;
    server->on_operation([&](const std::string& operation) { seen.push_back(operation); });
    session->slot();
    EXPECT_EQ(seen, std::vector<std::string>{"slot"});
    EXPECT_EQ(code_of([&] { engine.connect(FakeEngine::member("b")); }), Code::member_unreachable);
}

TEST(FakeServerTest, HangingStreamsEndWithTheStopToken)
{
    FakeEngine engine;
    auto server = engine.add_server({.name = "a"});
    auto session = engine.connect(FakeEngine::member("a"));
    auto source = session->open_log(session->create_slot());
    server->set_hanging("next", true);
    std::stop_source stop;
    std::jthread stopper([&] { stop.request_stop(); });
    EXPECT_EQ(source->next(steady_clock::time_point::max(), stop.get_token()), std::nullopt);
}

TEST(FakeServerTest, GapsAndLostSlotsAreReported)
{
    FakeEngine engine;
    auto server = engine.add_server({.name = "a"});
    auto session = engine.connect(FakeEngine::member("a"));
    const auto restart = session->create_slot();
    server->noise(1000);
    server->discard_log_below(restart.offset + 8);
    EXPECT_EQ(code_of([&] { session->open_log(restart); }), Code::log_gap);
    auto source = session->open_log({1, restart.offset + 8});
    server->lose_slot();
    EXPECT_TRUE(session->slot().lost);
    EXPECT_EQ(code_of([&] {
                  while (source->next(steady_clock::time_point::max(), {})) {
                  }
              }),
              Code::log_gap);
}

TEST(FakeServerTest, PromotionAbandonsTheTail)
{
    FakeEngine engine;
    auto server = engine.add_server({.name = "a"});
    auto session = engine.connect(FakeEngine::member("a"));
    const auto restart = session->create_slot();
    server->noise(2000);
    const auto fork = server->insert_position().offset;
    server->noise(500);
    server->promote(fork);
    EXPECT_EQ(session->insert_position().epoch, 2U);
    EXPECT_EQ(model::parse_history(2, *session->history_file(2)).ancestors().at(0).left_at, fork);
    auto source = session->open_log(restart);
    model::Offset got = restart.offset;
    while (const auto chunk = source->next(steady_clock::now() + std::chrono::seconds{5}, {}))
        got += chunk->bytes.size();
    EXPECT_EQ(got, fork);
    ASSERT_TRUE(source->switched().has_value());
    EXPECT_EQ(source->switched()->next, 2U);
    source->finish();
    EXPECT_EQ(code_of([&] { session->open_log({1, fork + 8}); }), Code::identity_mismatch);
}

/// Keeps a backup in a folder, as a repository would.
class FolderSink final : public BackupSink {
public:
    explicit FolderSink(std::filesystem::path dir) : dir_(std::move(dir)) {}
    void file(const model::FileEntry& entry) override
    {
        std::filesystem::create_directories((dir_ / entry.path).parent_path());
        content_[entry.index].resize(entry.size);
        base::replace_file(dir_ / entry.path, content_[entry.index]);
    }
    void extent(std::uint32_t, std::uint32_t index, std::uint64_t offset,
                base::ByteView bytes) override
    {
        auto& content = content_[index];
        content.resize(std::max<std::size_t>(content.size(), offset + bytes.size()));
        std::ranges::copy(bytes, content.begin() + static_cast<std::ptrdiff_t>(offset));
    }

private:
    std::filesystem::path dir_;
    std::map<std::uint32_t, base::Bytes> content_;
};

class FakeRestoreTest : public testing::Test {
protected:
    FakeRestoreTest() : server_(engine_.add_server({.name = "a"}))
    {
        engine_.restored().set_log_reader(
            [this](const std::string&, model::Epoch epoch, model::Offset from, model::Offset to) {
                return server_->log(epoch, from, std::min(to, server_->insert_position().offset));
            });
        config_.member = "a";
        config_.dir = dir_.path() / "data";
        config_.work_dir = dir_.path() / "work";
        std::filesystem::create_directory(config_.dir);
        server_->prepare("before");
        server_->prepare("across");
        auto backup = engine_.connect(FakeEngine::member("a"))->begin_backup({.label = "x"});
        server_->finish("before", true);
        FolderSink sink(config_.dir);
        std::atomic<std::uint64_t> progress{0};
        backup->copy(sink, progress, {});
        spec_.backup_label = backup->finish().backup_label;
        spec_.goal.epoch = 1;
    }

    FakeEngine engine_;
    std::shared_ptr<FakeServer> server_;
    base::TempDir dir_;
    TargetConfig config_;
    RecoverySpec spec_;
};

TEST_F(FakeRestoreTest, RecoversToExactlyTheGoal)
{
    server_->prepare("inside");
    const auto goal = server_->insert_position().offset;
    server_->finish("across", true);
    spec_.goal.position = goal;
    auto target = engine_.open_target(config_);
    target->preflight();
    target->prepare(spec_);
    EXPECT_EQ(target->recover({}, {}).position, (model::LogPosition{1, goal}));
    EXPECT_EQ(code_of([&] { target->prepared(); }), Code::failed) << "it is not running";
    // A second process goes on with what the first one left.
    target = engine_.open_target(config_);
    EXPECT_EQ(target->recover({}, {}).position, (model::LogPosition{1, goal}));
    EXPECT_EQ(target->promote({}).epoch, 2U);
    const auto in_doubt = target->prepared();
    ASSERT_EQ(in_doubt.size(), 2U);
    for (const auto& branch : in_doubt)
        target->settle(branch, branch.gid == "across");
    EXPECT_TRUE(target->prepared().empty());
    auto handed = target->prepare_hand_over({.captured = {}}, {});
    target->hand_over(handed, true);
    const auto restored = engine_.restored().at(config_.dir);
    EXPECT_EQ(restored.phase, RestoredServer::Phase::handed_over);
    EXPECT_EQ(restored.committed, (std::set<std::string>{"before", "across"}));
    EXPECT_EQ(restored.rolled_back, (std::set<std::string>{"inside"}));
}

TEST_F(FakeRestoreTest, AGoalAtTheVeryEndOfTheLogCannotBeReached)
{
    spec_.goal.position = server_->insert_position().offset;
    auto target = engine_.open_target(config_);
    target->prepare(spec_);
    EXPECT_EQ(code_of([&] { target->recover({}, {}); }), Code::point_not_reachable);
    server_->commit();
    EXPECT_NO_THROW(target->recover({}, {}));
}

TEST_F(FakeRestoreTest, StepsOutOfOrderAndFaultsAreErrors)
{
    auto target = engine_.open_target(config_);
    EXPECT_EQ(code_of([&] { target->promote({}); }), Code::failed);
    EXPECT_EQ(code_of([&] { target->recover({}, {}); }), Code::failed);
    engine_.restored().fail("a", "prepare", Error{Code::out_of_space, "full"});
    EXPECT_EQ(code_of([&] { target->prepare(spec_); }), Code::out_of_space);
    EXPECT_NO_THROW(target->prepare(spec_));
}

} // namespace
} // namespace tidemark::engine::fake
