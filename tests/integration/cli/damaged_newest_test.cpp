// The newest object of each kind is damaged where it lies: the daily commands name it, do without
// it where that is possible, and what they make next is whole.

#include "app/wiring.h"
#include "base/fd.h"
#include "cli/shared_group.h"
#include "repo/layout.h"
#include "repo/marks.h"

#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace tidemark::support {
namespace {

namespace fs = std::filesystem;

class DamagedNewestTest : public SharedGroupTest {
protected:
    static void SetUpTestSuite()
    {
        share_group([] {
            must(lab_->init());
            must(lab_->backup("one"));
            must(lab_->backup("two"));
            must(lab_->mark("three"));
        });
    }

    /// Its name in the repository.
    static std::string damage_newest(repo::KeyKind kind)
    {
        std::string found;
        for (const auto& entry : fs::recursive_directory_iterator(lab_->repository)) {
            auto name = entry.path().lexically_relative(lab_->repository).string();
            auto key = repo::parse_key(name);
            if (!key || key->kind != kind) continue;
            if (key->id.member.empty() || key->id.member == "m1") found = std::max(found, name);
        }
        auto file = lab_->repository / found;
        auto size = static_cast<std::streamoff>(fs::file_size(file));
        fs::permissions(file, fs::perms::owner_write, fs::perm_options::add);
        std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
        bytes.seekg(size / 2);
        auto one = static_cast<char>(bytes.get());
        bytes.seekp(size / 2);
        bytes.put(static_cast<char>(one ^ 0x20));
        return found;
    }
    static bool done(const ToolRun& run) { return run.code() == 0 || run.code() == 3; }
    static bool names(const ToolRun& run, const std::string& object)
    {
        return run.err.find(object) != std::string::npos;
    }
};

TEST_F(DamagedNewestTest, EveryCommandGoesOnAndNamesIt)
{
    using enum repo::KeyKind;
    for (auto kind : {mark, set, manifest}) {
        auto object = damage_newest(kind);
        SCOPED_TRACE(object);
        for (const Tool::Arguments& command : {Tool::Arguments{"status"},
                                               {"list", "marks"},
                                               {"list", "sets"},
                                               {"list", "backups"}}) {
            auto run = lab_->run(command);
            EXPECT_TRUE(done(run)) << run.text();
        }
        auto status = lab_->run({"status", "--exit-code"});
        EXPECT_EQ(status.code(), 3) << status.text();
        EXPECT_TRUE(names(status, object)) << status.text();
        EXPECT_NE(status.out.find("RESTORABLE to"), std::string::npos) << status.text();
        auto plan = lab_->run({"restore", "--plan"});
        EXPECT_TRUE(done(plan)) << plan.text();
        // Nobody who asks for the newest mark is given an older one in silence.
        if (kind == mark) {
            EXPECT_EQ(plan.code(), 3) << plan.text();
            EXPECT_TRUE(names(plan, object)) << plan.text();
        }
        auto log = lab_->run({"log"});
        EXPECT_TRUE(done(log)) << log.text();
        auto next = lab_->mark(fmt::format("after-{}", static_cast<int>(kind)));
        ASSERT_TRUE(done(next)) << next.text();
        auto latest = lab_->run({"restore", "--plan", "--json"});
        ASSERT_TRUE(done(latest)) << latest.text();
        EXPECT_EQ(latest.json().at("plan").at("mark").at("id"), next.json().at("mark").at("id"));
        auto verify = lab_->run({"verify"});
        EXPECT_EQ(verify.code(), 4) << verify.text();
        EXPECT_NE((verify.out + verify.err).find(object), std::string::npos) << verify.text();
    }
}

TEST_F(DamagedNewestTest, WhatIsKnownOfAMemberIsRecordedAgainByInit)
{
    auto object = damage_newest(repo::KeyKind::identity);
    auto refused = lab_->mark("refused");
    EXPECT_EQ(refused.code(), 2) << refused.text();
    EXPECT_TRUE(refused.explained()) << refused.text();
    EXPECT_TRUE(names(refused, object)) << refused.text();
    EXPECT_NE(refused.err.find("tidemark init"), std::string::npos) << refused.text();
    auto again = lab_->run({"init"});
    EXPECT_TRUE(done(again)) << again.text();
    auto mark = lab_->mark("healed");
    ASSERT_TRUE(done(mark)) << mark.text();
    auto audit = lab_->run({"audit", "healed"});
    EXPECT_EQ(audit.code(), 0) << audit.text();
    auto plan = lab_->run({"restore", "--plan", "--to", "healed"});
    EXPECT_TRUE(done(plan)) << plan.text();
}

/// No damage that a checksum shows: the mark itself says what the log does not.
TEST_F(DamagedNewestTest, AMarkThatDoesNotSayWhatTheLogSaysIsNotProven)
{
    auto storage = app::open_storage(lab_->repository.string(), false);
    auto stored = repo::Marks(*storage, "shop").need("latest");
    const auto& key = stored.object.key;
    auto was = store::get(*storage, key, 1U << 20);
    ASSERT_TRUE(was.has_value());
    auto changed = stored.value;
    changed.flags.heuristic_damage = true;
    storage->remove(key);
    store::put(*storage, key, repo::encode_mark(changed, stored.header));
    auto audit = lab_->run({"audit", "latest", "--json"});
    storage->remove(key);
    store::put(*storage, key, *was);
    EXPECT_EQ(audit.code(), 4) << audit.text();
    EXPECT_FALSE(audit.json().at("good").get<bool>()) << audit.text();
    ASSERT_EQ(audit.json().at("differences").size(), 1U) << audit.text();
    EXPECT_NE(audit.json().at("differences").at(0).get<std::string>().find("heuristic_damage"),
              std::string::npos)
        << audit.text();
    audit = lab_->run({"audit", "latest"});
    EXPECT_EQ(audit.code(), 0) << audit.text();
}

} // namespace
} // namespace tidemark::support
