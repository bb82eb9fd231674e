#pragma once

#include "job/audit.h"
#include "job/expire.h"
#include "job/expire_survey.h"
#include "job/world_testing.h"
#include "repo/layout.h"

namespace tidemark::job {

/// Fake groups that lived for days, and what must hold after any `expire`.
class ExpireTest : public ::testing::Test {
protected:
    /// Days with a full backup each, and marks between.
    static void live(World& world, int days, int marks = 2)
    {
        for (int day = 0; day < days; ++day) {
            back_up_group(world.context(), {});
            for (int i = 0; i < marks; ++i) {
                world.clock().advance(std::chrono::hours{24} / (marks + 1));
                world.work();
                place_mark(world.context(), MarkOptions{});
            }
            world.clock().advance(std::chrono::hours{24} / (marks + 1));
        }
    }

    static ExpireOptions options(NewGroup& world)
    {
        ExpireOptions out;
        out.grace = out.settle;
        out.join_at_least = 2;
        out.sleep = [&world](base::Duration duration) { world.clock().advance(duration); };
        return out;
    }

    static std::size_t count(NewGroup& world, repo::KeyKind kind)
    {
        std::size_t out = 0;
        for (const auto& info : world.storage().list("groups/shop/")) {
            auto key = repo::parse_key(info.key);
            if (key && key->kind == kind) ++out;
        }
        return out;
    }

    static model::RetentionPlan plan_of(NewGroup& world)
    {
        SurveyOptions options;
        options.policy.keep_days = world.group().keep_days;
        return survey(world.context(), options).plan;
    }

    /// Nothing is wrong, and every mark that stays for its own sake can be restored and proved.
    static void check_good(NewGroup& world)
    {
        world.check_whole();
        auto view = world.view();
        auto plan = plan_of(world);
        EXPECT_TRUE(repo::newest_restorable(view).has_value());
        for (const auto& mark : view.marks) {
            auto fate = plan.marks.find(mark.number());
            if (fate == plan.marks.end() || !fate->second.stays ||
                fate->second.why.starts_with("the proof"))
                continue;
            EXPECT_TRUE(repo::plan_restore(view, mark.number()).plan.has_value())
                << "m-" << mark.number();
            EXPECT_TRUE(audit_mark(world.context(), repo::mark_id(mark.number())).good())
                << "m-" << mark.number();
        }
    }
};

} // namespace tidemark::job
