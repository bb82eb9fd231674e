#include "engine/postgres/amcheck.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::engine::postgres {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(AmcheckReportTest, IndentedLinesBelongToTheOneBefore)
{
    EXPECT_THAT(parse_amcheck_report(""), IsEmpty());
    EXPECT_THAT(
        parse_amcheck_report("heap table \"shop.public.t\", block 1, offset 2:\n"
                             "    xmin 3 precedes oldest valid transaction ID 717\n"
                             "btree index \"shop.public.t_pkey\":\n"
                             "    ERROR:  invalid page in block 3 of relation base/5/16390\n"),
        ElementsAre("heap table \"shop.public.t\", block 1, offset 2: xmin 3 precedes oldest valid "
                    "transaction ID 717",
                    "btree index \"shop.public.t_pkey\": ERROR:  invalid page in block 3 of "
                    "relation base/5/16390"));
    EXPECT_THAT(parse_amcheck_report("  lone\n"), ElementsAre("lone"));
}

} // namespace
} // namespace tidemark::engine::postgres
