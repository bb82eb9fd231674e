#include "engine/postgres/restored_server.h"

#include "base/error.h"
#include "base/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::engine::postgres {
namespace {

TEST(RestoredServerTest, OneThatAnswersNobodyIsNotWaitedForForEver)
{
    base::TempDir dir{"tmrs"};
    RestoredServer server{{dir.path(), 5432, "postgres"}, TargetFolder{dir.path(), std::nullopt}};
    int asked = 0;
    auto alive = [&] { return ++asked < 500; };
    try {
        server.wait_until_open(alive, {}, std::chrono::milliseconds{50});
        FAIL() << "asked " << asked << " times";
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::failed);
        EXPECT_THAT(error.what(),
                    ::testing::HasSubstr("does not answer in " + dir.path().native()));
    }
}

} // namespace
} // namespace tidemark::engine::postgres
