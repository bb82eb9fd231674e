#include "job/context.h"

#include "job/world_testing.h"

namespace tidemark::job {
namespace {

using namespace std::chrono_literals;

TEST(ContextTest, OtherMembersAndNothingElse)
{
    World world;
    auto whole = world.context();
    whole.lease_ttl = 7s;
    whole.silence = 8s;
    model::GroupSpec alone = world.group();
    alone.members.pop_back();
    auto other = whole.for_group(alone);
    EXPECT_EQ(&other.group, &alone);
    EXPECT_EQ(&other.progress, &whole.progress);
    EXPECT_EQ(other.lease_ttl, 7s);
    EXPECT_EQ(other.silence, 8s);
    EXPECT_EQ(other.command, whole.command);
    Silent silent;
    EXPECT_EQ(&whole.telling(silent).progress, &silent);
    EXPECT_EQ(&whole.telling(silent).group, &whole.group);
}

} // namespace
} // namespace tidemark::job
