#pragma once

#include "base/temp_dir.h"
#include "job/mark.h"
#include "job/restore.h"
#include "job/restore_state.h"
#include "job/world_testing.h"

#include <filesystem>
#include <string>

namespace tidemark::job {

/// A restore of a World to a mark, with whatever goes wrong on the way.
class RestoredWorld {
protected:
    RestoredWorld()
    {
        world_.let_restores_read();
        world_.work();
        plan(place_mark(world_.context(), {}).mark.number());
        options_.dir = dir_.path();
        options_.start = true;
    }

    void plan(model::Number mark)
    {
        plan_ = repo::need_plan(repo::plan_restore(world_.view(), mark));
    }
    RestoreReport restore() { return restore_group(world_.context(), plan_, options_); }
    base::Error refused()
    {
        try {
            restore();
        } catch (const base::Error& error) {
            return error;
        }
        ADD_FAILURE() << "it was restored";
        return {base::Code::ok, ""};
    }
    void fail(const std::string& member, const std::string& method)
    {
        world_.engine().restored().fail(member, method,
                                        {base::Code::failed, method + " went wrong"});
    }

    engine::fake::RestoredServer server(const std::string& member)
    {
        return world_.engine().restored().at(dir_.path() / member / "data");
    }
    std::filesystem::path state_file(const std::string& member) const
    {
        return dir_.path() / member / "tidemark/state.json";
    }
    RestoreState state(const std::string& member) const
    {
        return load_restore_state(state_file(member)).value();
    }
    void expect_all_open()
    {
        for (const char* member : {"a", "b"}) {
            EXPECT_EQ(server(member).phase, engine::fake::RestoredServer::Phase::handed_over)
                << member;
            EXPECT_TRUE(server(member).running) << member;
            EXPECT_EQ(state(member).phase, RestorePhase::handed_over) << member;
        }
    }

    base::TempDir dir_{"restored"};
    World world_;
    repo::RestorePlan plan_;
    RestoreOptions options_;
};

} // namespace tidemark::job
