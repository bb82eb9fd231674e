#pragma once

#include "base/log.h"
#include "base/random.h"
#include "engine/fake/fake_engine.h"
#include "job/backup.h"
#include "job/init.h"
#include "repo/log_catalog.h"
#include "repo/restore_plan.h"
#include "repo/verify.h"
#include "store/memory.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace tidemark::job {

/// Keeps what it was told, prints nothing.
class Silent final : public Progress {
public:
    void stage(std::string_view, std::string_view, std::uint64_t) override {}
    void advance(std::string_view, std::uint64_t) override {}
    void finished(std::string_view) override {}
    void note(std::string_view) override {}
    void warn(std::string_view text) override
    {
        std::lock_guard lock(mutex_);
        warnings_.emplace_back(text);
    }
    std::vector<std::string> warnings() const
    {
        std::lock_guard lock(mutex_);
        return warnings_;
    }
    void forget_warnings()
    {
        std::lock_guard lock(mutex_);
        warnings_.clear();
    }

private:
    mutable std::mutex mutex_;
    std::vector<std::string> warnings_;
};

/// Two servers that live in memory and a repository that was just made for them.
class NewGroup {
public:
    NewGroup() : clock_(*base::parse_time("2026-11-22T12:00:00Z")), storage_(clock_)
    {
        base::log_setup({.level = base::LogLevel::off});
        group_.name = "shop";
        for (const char* name : {"a", "b"}) {
            auto server =
                engine_.add_server({.name = name,
                                    .system_id = std::string("70000000000000000") + name[0],
                                    .clock = &clock_});
            group_.members.push_back({.name = name,
                                      .url = std::string("fake:") + name,
                                      .data_dir = {},
                                      .gid_pattern = "identical"});
            server->set_file("relation", base::Bytes(20000, std::byte{1}));
            servers_.push_back(server);
        }
        base::SeededRandom random(1);
        repository_.emplace(repo::Repository::create(storage_, random));
        initialise(context(), {.unbounded = true});
    }

    Context context()
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

    /// A transfer that is done, one that hangs between its commits, and noise.
    void work()
    {
        auto gid = "t" + std::to_string(++transfers_);
        for (auto& server : servers_)
            server->prepare(gid + "-done");
        for (auto& server : servers_)
            server->finish(gid + "-done", true);
        for (auto& server : servers_)
            server->prepare(gid);
        servers_[0]->finish(gid, true);
        for (auto& server : servers_)
            server->noise(3000);
    }

    /// What must hold in any repository, however it came to be.
    void check_after_crash()
    {
        for (std::size_t i = 0; i < servers_.size(); ++i) {
            auto catalog = repo::LogCatalog::load(
                storage_, {.group = "shop", .member = group_.members[i].name});
            auto end = catalog.durable_end(model::History(1));
            ASSERT_TRUE(end.has_value());
            auto restart = servers_[i]->slot().restart;
            ASSERT_TRUE(restart.has_value());
            EXPECT_LE(*restart, end->offset) << "the server was told of log that is not stored";
        }
        auto view = repo::load_view(storage_, "shop");
        EXPECT_TRUE(view.unreadable.empty());
        EXPECT_TRUE(repo::newest_restorable(view).has_value());
        for (const auto& set : view.sets) {
            EXPECT_TRUE(repo::plan_restore(view, set.value.mark).plan.has_value())
                << "set " << set.number();
        }
    }

    void check_whole()
    {
        auto report = repo::verify(*repository_, "shop");
        for (const auto& fault : report.faults)
            ADD_FAILURE() << fault.object << ": " << fault.text;
    }

    /// Restored servers get the log that the live ones have.
    void let_restores_read()
    {
        engine_.restored().set_log_reader([this](const std::string& member, model::Epoch epoch,
                                                 model::Offset from, model::Offset to) {
            auto& from_server = server(member == "a" ? 0 : 1);
            return from_server.log(epoch, from, std::min(to, from_server.insert_position().offset));
        });
    }

    store::MemoryStorage& storage() { return storage_; }
    repo::Repository& repository() { return *repository_; }
    /// A dead owner's lease runs out.
    void wait_for_leases() { clock_.advance(std::chrono::minutes{5}); }
    base::FakeClock& clock() { return clock_; }
    model::GroupSpec& group() { return group_; }
    engine::fake::FakeServer& server(std::size_t i) { return *servers_[i]; }
    repo::RepositoryView view() { return repo::load_view(storage_, group_.name); }
    engine::fake::FakeEngine& engine() { return engine_; }
    const Silent& progress() const { return progress_; }

private:
    base::FakeClock clock_;
    store::MemoryStorage storage_;
    engine::fake::FakeEngine engine_;
    std::vector<std::shared_ptr<engine::fake::FakeServer>> servers_;
    model::GroupSpec group_;
    std::optional<repo::Repository> repository_;
    Silent progress_;
    int transfers_ = 0;
};

/// With a first backup, and some work since.
class World : public NewGroup {
public:
    World()
    {
        back_up_group(context(), {});
        work();
    }
};

} // namespace tidemark::job
