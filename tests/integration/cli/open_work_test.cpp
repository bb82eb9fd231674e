// Work that is open when Tidemark comes, or for as long as a backup runs: prepared before init
// (rules.md 6), or a plain transaction that outlives the backup (rules.md 16).

#include "cli/shared_group.h"
#include "engine/postgres/pq.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

namespace tidemark::support {
namespace {

namespace fs = std::filesystem;
using engine::postgres::Connection;

/// Two members. "seed" is prepared at both before init; a member commits it between the backup and
/// the mark "after", when the open transactions end too.
class OpenWorkTest : public SharedGroupTest {
protected:
    static void SetUpTestSuite()
    {
        share_group([] {
            prepare_seeds();
            init_ = must(lab_->init());
            auto commits = connect(0);
            auto gives_up = connect(0);
            commits.exec("BEGIN; INSERT INTO public.kept VALUES ('open, committed')");
            gives_up.exec("BEGIN; INSERT INTO public.kept VALUES ('open, rolled back')");
            must(lab_->backup("base"));
            connect(0).exec("INSERT INTO public.kept VALUES ('between')");
            commits.exec("COMMIT");
            gives_up.exec("ROLLBACK");
            connect(1).exec("COMMIT PREPARED 'seed'");
            connect(1).exec("ROLLBACK PREPARED 'orphan'");
            must(lab_->mark("after"));
        });
    }
    static void prepare_seeds()
    {
        for (std::size_t i = 0; i < 2; ++i) {
            auto sql = connect(i);
            sql.exec("CREATE TABLE public.kept (what text)");
            for (const char* gid : {"seed", "orphan"}) {
                sql.exec(fmt::format("BEGIN; INSERT INTO public.kept VALUES ('{0}'); "
                                     "PREPARE TRANSACTION '{0}'",
                                     gid));
            }
        }
    }
    void TearDown() override
    {
        stop_restored(lab_->target("r"));
        fs::remove_all(lab_->target("r"));
    }

    static Connection connect(std::size_t member)
    {
        return Connection::open(lab_->lab.cluster(member).url());
    }
    /// What the restored member holds, in the order of the alphabet.
    static std::string kept(const ToolRun& run, std::size_t member)
    {
        auto sql = Connection::open(lab_->restored_bank(run).members[member].url);
        return std::string(
            sql.exec("SELECT coalesce(string_agg(what, ', ' ORDER BY what), '') FROM public.kept")
                .get(0, 0));
    }
    /// gid -> action, of one member.
    static std::map<std::string, std::string> decisions(const ToolRun& run, std::size_t member)
    {
        std::map<std::string, std::string> out;
        auto document = run.json();
        for (const auto& one : document.at("report").at("members").at(member).at("decisions"))
            out[one.at("gid").get<std::string>()] = one.at("action").get<std::string>();
        return out;
    }
    using Actions = std::map<std::string, std::string>;

    static ToolRun init_;
};

ToolRun OpenWorkTest::init_;

// rule 6, 16
TEST_F(OpenWorkTest, AtTheBackupsOwnMarkAllOfItIsOpen)
{
    auto run = lab_->restore({"--to", "base"}, "r");
    EXPECT_EQ(run.code(), 3) << run.text();
    for (std::size_t member = 0; member < 2; ++member) {
        EXPECT_EQ(kept(run, member), "");
        EXPECT_EQ(decisions(run, member), (Actions{{"seed", "kept"}, {"orphan", "kept"}}))
            << "nobody has seen what became of it, and nothing is guessed";
    }
}

// rule 6, 16
TEST_F(OpenWorkTest, BehindItsEndEachIsAsItEnded)
{
    auto run = lab_->restore({"--to", "after"}, "r");
    EXPECT_EQ(run.code(), 3) << run.text();
    EXPECT_EQ(kept(run, 0), "between, open, committed, seed");
    EXPECT_EQ(kept(run, 1), "seed");
    EXPECT_EQ(decisions(run, 0), (Actions{{"seed", "commit"}, {"orphan", "kept"}}))
        << "the partner's commit is evidence; its rollback is none";
    EXPECT_EQ(decisions(run, 1), Actions{});
}

// rule 6
TEST_F(OpenWorkTest, InitAndTheBackupKnowWhatWasPrepared)
{
    EXPECT_NE(init_.text().find("2 transactions were prepared already"), std::string::npos)
        << init_.text();
    auto plan = lab_->run({"restore", "--plan", "--to", "base", "--json"});
    ASSERT_EQ(plan.code(), 0) << plan.text();
    std::set<std::string> reasons;
    auto document = plan.json();
    for (const auto& one : document.at("plan").at("in_doubt"))
        reasons.insert(one.at("reason").get<std::string>());
    // The log begins with a segment: the prepare may lie in it, before the logs of all were kept.
    reasons.erase("log_incomplete");
    reasons.erase("seeded");
    EXPECT_TRUE(reasons.empty()) << document.at("plan").at("in_doubt");
    EXPECT_FALSE(document.at("plan").at("in_doubt").empty());
}

} // namespace
} // namespace tidemark::support
