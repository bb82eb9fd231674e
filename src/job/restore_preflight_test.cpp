#include "base/error.h"
#include "base/temp_dir.h"
#include "job/mark.h"
#include "job/restore_member.h"
#include "job/world_testing.h"
#include "repo/log_reader.h"
#include "repo/restore_plan.h"

#include <gtest/gtest.h>

namespace tidemark::job {
namespace {

TEST(RestorePreflightTest, RecordsOfExtensionsNeedTheirLibraries)
{
    World world;
    world.work();
    auto number = place_mark(world.context(), {}).mark.number();
    auto plan = repo::need_plan(repo::plan_restore(world.view(), number));
    base::TempDir dir;
    RestoreOptions options;
    options.dir = dir.path() / "r";
    EXPECT_NO_THROW(check_restore(world.context(), plan, options));

    const auto& piece = plan.members.at("b").pieces.back().piece;
    repo::LogCatalog catalog;
    catalog.id = {.group = "shop", .member = "b"};
    repo::LogReader reader(world.storage(), catalog);
    auto index = reader.index(piece, {});
    index.notices.push_back(
        {model::LogNoticeKind::custom_resource_manager, piece.range.from, "130"});
    reader.reindex(piece, [&](const repo::LogPiece&) { return index; });
    try {
        check_restore(world.context(), plan, options);
        FAIL() << "replay would end there";
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::point_not_reachable) << error.what();
        EXPECT_NE(error.message().find("log of b"), std::string::npos) << error.message();
        EXPECT_NE(error.message().find("130"), std::string::npos) << error.message();
        EXPECT_NE(error.hint().find("--preload"), std::string::npos) << error.hint();
    }
    EXPECT_FALSE(std::filesystem::exists(options.dir));
    options.preload = {"its_library"};
    EXPECT_NO_THROW(check_restore(world.context(), plan, options));
}

// rule 29
TEST(RestorePreflightTest, TablespaceMapsLeadToTheVeryFolder)
{
    EXPECT_EQ(tablespace_line(16471, "/r\\b/a b", 150018), "16471 /r\\\\b/a b\n");
    EXPECT_EQ(tablespace_line(16471, "/r\\b/a b", 130011), "16471 /r\\b/a b\n");
    EXPECT_EQ(tablespace_line(16471, "/c\nd\r", 140000), "16471 /c\\\nd\\\r\n");
    EXPECT_EQ(tablespace_line(16471, "/c\nd\r", 130011), "16471 /c\\\nd\\\r\n");
    EXPECT_EQ(tablespace_line(16471, "/b\\", 180000), "16471 /b\\\\\n");
    EXPECT_THROW(tablespace_line(16471, "/b\\", 130011), base::Error);
}

} // namespace
} // namespace tidemark::job
