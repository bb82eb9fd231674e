#include "app/cli/describe.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace tidemark::app {
namespace {

repo::RestorePlan plan_with(model::Decision decision, bool two_phase_only)
{
    repo::StoredMark mark;
    mark.value.flags.two_phase_only = two_phase_only;
    model::InDoubt doubt;
    doubt.branch.member = "orders";
    doubt.branch.gid = "t-1";
    doubt.verdict.decision = decision;
    mark.value.at.in_doubt.push_back(doubt);
    repo::RestorePlan plan;
    plan.mark = mark;
    return plan;
}

// rule 7: what is rolled back because nobody's commit is there is named, as long as a coordinator
// that commits its own part in one phase is not ruled out.
TEST(DescribeTest, PlansNameWhatIsRolledBackForWantOfACommit)
{
    const std::string said = "because no member committed it";
    auto text = plan_text(plan_with(model::Decision::rollback, true), {});
    EXPECT_NE(text.find(said), std::string::npos) << text;
    EXPECT_NE(text.find("  orders t-1\n"), std::string::npos) << text;
    for (auto decision : {model::Decision::commit, model::Decision::unknown})
        EXPECT_EQ(plan_text(plan_with(decision, true), {}).find(said), std::string::npos);
    text = plan_text(plan_with(model::Decision::rollback, false), {});
    EXPECT_EQ(text.find(said), std::string::npos) << text;
}

// rule 6
TEST(DescribeTest, MarksCountBranchesThatEndedWithoutAPrepare)
{
    const std::string said = "ended whose prepare nobody saw";
    repo::StoredMark mark;
    EXPECT_EQ(mark_text(mark).find(said), std::string::npos);
    mark.value.at.unknown_finishes.resize(1);
    EXPECT_NE(mark_text(mark).find("\n1 branch " + said + "\n"), std::string::npos)
        << mark_text(mark);
    mark.value.at.unknown_finishes.resize(2);
    EXPECT_NE(mark_text(mark).find("\n2 branches " + said + "\n"), std::string::npos)
        << mark_text(mark);
}

// rule 9: the name is for people; whoever stops there tears what committed meanwhile.
TEST(DescribeTest, AMarkIsItsPositionsNotItsName)
{
    repo::StoredMark mark;
    mark.value.restore_point = "m-3.66d118e6";
    model::MarkMember member;
    member.name = "orders";
    member.cut = {.epoch = 2, .offset = 0x1000028};
    mark.value.members.push_back(member);
    auto text = mark_text(mark);
    for (const char* said :
         {"restore points m-3.66d118e6 placed within", "stops at RESTORE TO, not at this name\n"})
        EXPECT_NE(text.find(said), std::string::npos) << said << " in " << text;
    const auto heading = text.find("RESTORE TO", text.find("MEMBER"));
    EXPECT_LT(heading, text.find(model::format_position(member.cut))) << text;
}

TEST(DescribeTest, StoredRunsSetsAndBackupsAreTextForPeople)
{
    repo::StoredRun run;
    run.header.number = 12;
    run.value.group = "shop";
    run.value.command = "run";
    run.value.host = "db1";
    run.value.exit_code = 13;
    run.value.error = model::RunError{
        .code = "repository_unreachable", .message = "away\x1b[2J", .hint = "mount"};
    run.value.broken_off = true;
    run.value.warnings = {"first", "second"};
    run.value.mark = 9;
    run.value.retention = model::RunRetention{.removed = 7};
    auto text = run_text(run);
    for (const char* said :
         {"run-12 of group shop: tidemark run on db1\n", "exit 13 (repository_unreachable)",
          "broken off", "repository_unreachable: away", "mount\n", "first\n", "second\n", "m-9\n",
          "7 objects removed"})
        EXPECT_NE(text.find(said), std::string::npos) << said << " in " << text;
    EXPECT_EQ(text.find('\x1b'), std::string::npos) << "what a server said stays harmless";

    repo::StoredSet set;
    set.header.number = 3;
    set.value.mark = 9;
    set.value.members["a"].backup = 2;
    text = set_text(set);
    EXPECT_NE(text.find("closed by mark m-9\n"), std::string::npos) << text;
    EXPECT_NE(text.find("a/b-2"), std::string::npos) << text;

    repo::StoredManifest backup;
    backup.header.number = 2;
    backup.value.member = "a";
    backup.value.facts.databases = {{5, "bank"}, {6, "odd\nname"}};
    backup.value.damaged = {{.path = "base/5/1", .block = 7, .why = "checksum"}};
    text = backup_text(backup);
    EXPECT_TRUE(text.starts_with("backup a/b-2 of group ")) << text;
    EXPECT_NE(text.find("base/5/1 block 7: checksum\n"), std::string::npos) << text;
    EXPECT_NE(text.find("bank, odd"), std::string::npos) << text;
    EXPECT_EQ(text.find("odd\nname"), std::string::npos) << text;
}

TEST(DescribeTest, ReportsNameWhatAHandOverKept)
{
    job::RestoreReport report;
    report.members.resize(1);
    report.members[0].hand_over.kept_files = {"pg_hba.conf.kept"};
    EXPECT_EQ(report_json(report)["members"][0]["kept_files"].dump(), R"(["pg_hba.conf.kept"])");
    auto text = report_text(report);
    EXPECT_NE(text.find("  kept as it was found: pg_hba.conf.kept\n"), std::string::npos) << text;
}

} // namespace
} // namespace tidemark::app
