#include "job/member_backup.h"

#include "job/world_testing.h"
#include "repo/backups.h"

#include <algorithm>

namespace tidemark::job {
namespace {

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

} // namespace
} // namespace tidemark::job
