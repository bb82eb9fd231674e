#include "job/member_backup.h"

#include "job/world_testing.h"
#include "repo/backups.h"

#include <algorithm>
#include <fmt/format.h>
#include <gmock/gmock.h>

namespace tidemark::job {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// rule 6
TEST(MemberBackupTest, WhatWasPreparedIsRecorded)
{
    World world;
    world.server(0).prepare("open");
    world.server(0).prepare("open too");
    back_up_group(world.context(), {});
    for (std::size_t i = 0; i < 2; ++i) {
        model::MemberId id{.group = "shop", .member = world.group().members[i].name};
        auto recorded = repo::Backups(world.storage(), id).list(1).front().value.prepared_xids;
        std::vector<std::uint32_t> there;
        for (const auto& branch : world.server(i).prepared())
            there.push_back(branch.xid);
        ASSERT_FALSE(there.empty());
        std::ranges::sort(recorded);
        std::ranges::sort(there);
        EXPECT_EQ(recorded, there) << id.member;
    }
}

// rule 6
TEST(MemberBackupTest, APreparedTransactionThatTheClosingMarkDoesNotKnowIsAWarning)
{
    const std::string said = "which the mark does not know";
    World world;
    world.server(1).prepare("known");
    back_up_group(world.context(), {});
    EXPECT_THAT(world.progress().warnings(), Not(Contains(HasSubstr(said))));
    const auto xid = world.server(1).prepare_unlogged("missed");
    back_up_group(world.context(), {});
    EXPECT_THAT(world.progress().warnings(),
                Contains(AllOf(StartsWith("b: "), HasSubstr("missed"),
                               HasSubstr(fmt::format("xid {}", xid)), HasSubstr(said)))
                    .Times(1));
}

// issue 2: Debian keeps its configuration in /etc/postgresql
TEST(MemberBackupTest, ConfigurationThatIsNotHeldIsAWarning)
{
    World world;
    world.server(0).set_captured({{"/etc/main/postgresql.conf", "config", "port = 1\n"},
                                  {"/etc/main/pg_hba.conf", "hba", {}},
                                  {"/etc/main/conf.d", "include", {}},
                                  {"/etc/ssl/key.pem", "tls", {}}});
    world.server(1).set_captured({{"/etc/main/pg_hba.conf", "hba", "local all all peer\n"},
                                  {"/etc/ssl/key.pem", "tls", {}}});
    back_up_group(world.context(), {});
    auto warnings = world.progress().warnings();
    EXPECT_THAT(warnings,
                Contains(AllOf(StartsWith("a: "),
                               HasSubstr("does not hold /etc/main/pg_hba.conf, /etc/main/conf.d,"),
                               HasSubstr("configuration_files"))));
    EXPECT_THAT(warnings, Not(Contains(AllOf(StartsWith("b: "), HasSubstr("does not hold")))));
}

} // namespace
} // namespace tidemark::job
