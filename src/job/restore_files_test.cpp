#include "base/temp_dir.h"
#include "job/mark.h"
#include "job/restore.h"
#include "job/stage_recorder.h"
#include "job/world_testing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace tidemark::job {
namespace {

/// A screen that says 100 % and then stands still is believed to hang.
TEST(RestoreFilesTest, MakingThemDurableIsAStageOfItsOwn)
{
    World world;
    world.let_restores_read();
    auto number = place_mark(world.context(), {}).mark.number();
    auto plan = repo::need_plan(repo::plan_restore(world.view(), number));
    base::TempDir dir{"files"};
    RestoreOptions options;
    options.dir = dir.path();
    Silent silent;
    StageRecorder recorder(silent, "shop");
    restore_group(world.context().telling(recorder), plan, options);
    std::vector<std::string> stages;
    for (const auto& stage : recorder.take())
        if (stage.member == "a") stages.push_back(stage.name);
    EXPECT_THAT(stages, ::testing::ElementsAre("write files", "make durable", "replay log",
                                               "promote", "configure", "hand over"));
}

} // namespace
} // namespace tidemark::job
