#pragma once

#include "base/log.h"
#include "engine/fake/fake_engine.h"
#include "job/audit.h"
#include "job/backup.h"
#include "job/init.h"
#include "job/mark.h"
#include "job/world_testing.h"
#include "repo/restore_plan.h"
#include "repo/verify.h"
#include "store/memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

// A group whose first member's server changes. For the tests of this room only.
namespace tidemark::job {

/// Members a and b with a full backup; a's server is then failed over in many ways.
class ChangingServerTest : public ::testing::Test {
protected:
    ChangingServerTest()
    {
        base::log_setup({.level = base::LogLevel::off});
        group_.name = "shop";
        for (const char* name : {"a", "b"}) {
            group_.members.push_back({.name = name,
                                      .url = std::string("fake:") + name,
                                      .data_dir = {},
                                      .gid_pattern = "identical"});
        }
        a_ = new_server("a");
        b_ = new_server("b");
        base::SeededRandom random(1);
        repository_.emplace(repo::Repository::create(storage_, random));
        initialise(context(), {.unbounded = true});
        a_->noise(150'000);
        back_up_group(context(), {});
    }

    /// Servers of one name share a system identifier; the clock stands still, so those that do the
    /// same write the same log.
    std::shared_ptr<engine::fake::FakeServer> new_server(const std::string& name)
    {
        auto server = engine_.add_server(
            {.name = name, .system_id = "70000000000000000" + name, .clock = &clock_});
        server->set_file("base/1/1", base::Bytes(2000, std::byte{1}));
        return server;
    }

    /// Another server answers for a, which has a slot from its beginning on.
    std::shared_ptr<engine::fake::FakeServer> replace_a()
    {
        auto other = new_server("a");
        session_of_a()->create_slot();
        return other;
    }

    std::unique_ptr<engine::Session> session_of_a()
    {
        return connect(context(), group_.members[0]);
    }

    Context make_context()
    {
        return {.repository = *repository_,
                .engine = [this](const model::MemberSpec&) -> engine::Engine& { return engine_; },
                .group = group_,
                .progress = progress_,
                .clock = clock_,
                .stop = {},
                .compression_level = 1,
                .workers = 1,
                .command = "test",
                .host = "here"};
    }
    const Context& context()
    {
        if (!context_made_) context_made_.emplace(make_context());
        return *context_made_;
    }

    model::Mark mark() { return place_mark(context(), {}).mark.value; }

    /// The error of a mark that must not be placed; nothing of it may show.
    base::Error refused()
    {
        auto marks = repo::load_view(storage_, "shop").marks.size();
        try {
            mark();
        } catch (const base::Error& error) {
            EXPECT_EQ(repo::load_view(storage_, "shop").marks.size(), marks);
            return error;
        }
        ADD_FAILURE() << "the mark was placed";
        return {base::Code::ok, ""};
    }

    /// What every mark must be: restorable, and the same when recomputed from the logs.
    void expect_good(const model::Mark& mark)
    {
        auto audit = audit_mark(context(), "latest");
        EXPECT_THAT(audit.differences, ::testing::IsEmpty());
        EXPECT_EQ(audit.recomputed.at.lost, mark.at.lost);
        auto view = repo::load_view(storage_, "shop");
        EXPECT_EQ(repo::newest_restorable(view), view.marks.front().number());
        auto report = repo::verify(*repository_, "shop");
        for (const auto& fault : report.faults)
            ADD_FAILURE() << fault.object << ": " << fault.text;
    }

    base::FakeClock clock_{*base::parse_time("2026-11-22T12:00:00Z")};
    store::MemoryStorage storage_{clock_};
    engine::fake::FakeEngine engine_;
    model::GroupSpec group_;
    std::optional<repo::Repository> repository_;
    Silent progress_;
    std::optional<Context> context_made_;
    std::shared_ptr<engine::fake::FakeServer> a_;
    std::shared_ptr<engine::fake::FakeServer> b_;
};

} // namespace tidemark::job
