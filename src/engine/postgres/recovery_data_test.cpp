#include "engine/postgres/recovery_data.h"

#include <gtest/gtest.h>

namespace tidemark::engine::postgres {
namespace {

// rule 22
TEST(RecoveryDataTest, LimitsOnlyRise)
{
    ControlFile control;
    control.max_connections = 100;
    control.max_prepared_transactions = 50;
    control.max_worker_processes = 8;
    control.max_locks_per_transaction = 64;
    std::map<std::string, std::string> limits = {{"max_connections", "300"},
                                                 {"max_prepared_transactions", "20"}};
    EXPECT_TRUE(raise_limits(limits, control));
    EXPECT_EQ(limits, (std::map<std::string, std::string>{{"max_connections", "300"},
                                                          {"max_prepared_transactions", "50"},
                                                          {"max_worker_processes", "8"},
                                                          {"max_locks_per_transaction", "64"}}));
    EXPECT_FALSE(raise_limits(limits, control));
}

} // namespace
} // namespace tidemark::engine::postgres
