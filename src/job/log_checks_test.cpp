#include "job/log_checks.h"

#include "job/changing_server_testing.h"
#include "repo/log_reader.h"

namespace tidemark::job {
namespace {

using testing::Contains;
using testing::Not;
using namespace std::chrono_literals;

class LogChecksTest : public ChangingServerTest {
protected:
    /// What `check` says of a besides that of its session.
    std::vector<std::string> checks_of_a()
    {
        auto view = repo::load_view(storage_, "shop");
        auto session = session_of_a();
        std::vector<std::string> names;
        for (const auto& check : check_stored_log(storage_, view.members.at("a"), *session, {},
                                                  {&view.members.at("b")}, view.marks))
            names.push_back(check.name);
        return names;
    }
};

TEST_F(LogChecksTest, AMemberThatWentBackAloneIsNamedUntilThatWasAccepted)
{
    mark();
    auto fork = a_->insert_position().offset;
    a_->commit("lost");
    back_up_log(context());
    EXPECT_THAT(checks_of_a(), Not(Contains("went_back")));
    a_->promote(fork);
    EXPECT_THAT(checks_of_a(), Contains("went_back"));
    mark();
    EXPECT_THAT(checks_of_a(), Contains("went_back")) << "the log goes on behind it";
    clock_.advance(24h * 30);
    EXPECT_THAT(checks_of_a(), Contains("went_back"));
    // One that the job takes by itself, as without a slot, makes the group no better.
    back_up_group(context(), {});
    EXPECT_THAT(checks_of_a(), Contains("went_back"));
    clock_.advance(24h * 8);
    EXPECT_THAT(checks_of_a(), Not(Contains("went_back")));
}

TEST_F(LogChecksTest, AGroupThatWentBackAsOneIsWhole)
{
    mark();
    auto at_a = a_->insert_position().offset;
    auto at_b = b_->insert_position().offset;
    a_->commit("given up");
    b_->commit("given up");
    back_up_log(context());
    a_->promote(at_a);
    b_->promote(at_b);
    EXPECT_THAT(checks_of_a(), Contains("went_back")) << "of b nothing is known yet";
    mark();
    EXPECT_THAT(checks_of_a(), Not(Contains("went_back")));
    // Their tails say nothing of what one of them loses later.
    auto fork = a_->insert_position().offset;
    a_->commit("lost alone");
    back_up_log(context());
    EXPECT_THAT(checks_of_a(), Not(Contains("went_back")));
    a_->promote(fork);
    EXPECT_THAT(checks_of_a(), Contains("went_back"));
    mark();
    EXPECT_THAT(checks_of_a(), Contains("went_back")) << "the log goes on behind it";
}

TEST_F(LogChecksTest, AGroupOfOneIsNeverRestoredAlone)
{
    mark();
    auto fork = a_->insert_position().offset;
    a_->commit("lost");
    back_up_log(context());
    a_->promote(fork);
    mark();
    auto stored = repo::load_view(storage_, "shop").members.at("a");
    auto session = session_of_a();
    auto checks = check_stored_log(storage_, stored, *session, {});
    auto told = std::ranges::find(checks, "went_back", &engine::Check::name);
    ASSERT_NE(told, checks.end()) << "a failover";
    EXPECT_EQ(told->cause.find("alone"), std::string::npos);
    stored.log.claims = {2}; // a restore of ours
    for (const auto& check : check_stored_log(storage_, stored, *session, {}))
        EXPECT_NE(check.name, "went_back");
}

TEST_F(LogChecksTest, ATailWithoutTransactionsIsNoLoss)
{
    mark();
    auto fork = a_->insert_position().offset;
    a_->noise(1000);
    back_up_log(context());
    a_->promote(fork);
    EXPECT_THAT(checks_of_a(), Not(Contains("went_back")));
    mark();
    EXPECT_THAT(checks_of_a(), Not(Contains("went_back")));
}

/// What makes the server flush is a transaction of ours: it has a time and is not counted.
TEST_F(LogChecksTest, OurOwnFlushOnATailIsNoLoss)
{
    mark();
    auto fork = repo::load_view(storage_, "shop").members.at("a").log.pieces.back().range.to;
    a_->commit("ours");
    back_up_log(context());
    auto log = repo::load_view(storage_, "shop").members.at("a").log;
    repo::LogReader reader(storage_, log);
    std::size_t changed = 0;
    for (const auto& piece : log.pieces) {
        if (piece.range.from < fork) continue;
        auto index = reader.index(piece, {});
        EXPECT_FALSE(index.times.empty());
        changed += index.commits;
        index.commits = 0;
        reader.reindex(piece, [&](const repo::LogPiece&) { return index; });
    }
    EXPECT_EQ(changed, 1U);
    a_->promote(fork);
    EXPECT_THAT(checks_of_a(), Not(Contains("went_back")));
}

} // namespace
} // namespace tidemark::job
