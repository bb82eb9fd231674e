#include "job/member_events.h"

#include <gtest/gtest.h>

namespace tidemark::job {
namespace {

// What stood on an abandoned tail matters only beside the rest of its transaction: days of log
// that nobody else knows of are not kept in memory.
TEST(KnownIdsTest, AreThoseOfEventsSeedsAndTheTable)
{
    std::vector<model::CutMember> members(2);
    members[0].log.pattern = model::GidPattern::parse("regex:(.*)-[0-9]+");
    for (const char* gid : {"event-1", "unmatched", ""}) {
        auto& event = members[0].log.events.emplace_back();
        event.gid = gid;
    }
    members[1].log.seeds.emplace_back().gid = "seed";
    model::OpenTransactions table;
    table.branches.emplace_back().global_id = "table";
    const KnownIds known(members, &table);
    const auto identical = model::GidPattern::parse("identical");
    for (const char* gid : {"event", "seed", "table"})
        EXPECT_TRUE(known.holds(identical, gid)) << gid;
    EXPECT_TRUE(known.holds(members[0].log.pattern, "event-2"));
    EXPECT_FALSE(known.holds(members[0].log.pattern, "unmatched"));
    for (const char* gid : {"event-1", "unmatched", "", "other"})
        EXPECT_FALSE(known.holds(identical, gid)) << gid;
    EXPECT_FALSE(KnownIds(members, nullptr).holds(identical, "table"));
}

} // namespace
} // namespace tidemark::job
