// Objects of every kind, corrupted, cut and lost: verify names the object and what it costs, and a
// restore refuses, or takes what is still good; never silently wrong.

#include "base/fd.h"
#include "cli/shared_group.h"
#include "repo/layout.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace tidemark::support {
namespace {

namespace fs = std::filesystem;

enum class Harm { corrupt, cut, lose };

class DamageTest : public SharedGroupTest, public ::testing::WithParamInterface<Harm> {
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

    void SetUp() override
    {
        ASSERT_NO_FATAL_FAILURE(SharedGroupTest::SetUp());
        copy_ = lab_->folder() / "copy";
        fs::remove_all(copy_);
        fs::copy(lab_->repository, copy_, fs::copy_options::recursive);
    }

    /// The newest object of a kind, of member m1 where members have it.
    fs::path newest(repo::KeyKind kind) const
    {
        std::string found;
        for (const auto& entry : fs::recursive_directory_iterator(copy_)) {
            if (!entry.is_regular_file()) continue;
            auto name = fs::relative(entry.path(), copy_).string();
            auto key = repo::parse_key(name);
            if (!key || key->kind != kind) continue;
            if (!key->id.member.empty() && key->id.member != "m1") continue;
            found = std::max(found, name);
        }
        EXPECT_FALSE(found.empty()) << "no object of this kind";
        return copy_ / found;
    }

    static void harm(const fs::path& file, Harm how)
    {
        auto size = fs::file_size(file);
        ASSERT_GT(size, 0U);
        fs::permissions(file, fs::perms::owner_write, fs::perm_options::add);
        if (how == Harm::lose) {
            fs::remove(file);
        } else if (how == Harm::cut) {
            fs::resize_file(file, size * 2 / 3);
        } else {
            std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
            bytes.seekg(static_cast<std::streamoff>(size / 2));
            char one = static_cast<char>(bytes.get());
            bytes.seekp(static_cast<std::streamoff>(size / 2));
            bytes.put(static_cast<char>(one ^ 0x20));
        }
    }

    ToolRun on_copy(Tool::Arguments arguments) const
    {
        arguments.insert(arguments.end(), {"--repo", copy_.string()});
        return lab_->tool.run(arguments);
    }

    ToolRun restored() const
    {
        auto run = on_copy({"restore", "--dir", lab_->target("r").string(), "--json", "--start"});
        EXPECT_TRUE(run.code() == 0 || run.code() == 3 || run.explained()) << run.text();
        return run;
    }
    static void clear_target()
    {
        stop_restored(lab_->target("r"));
        fs::remove_all(lab_->target("r"));
    }

    std::string key_of(const fs::path& object) const
    {
        return object.lexically_relative(copy_).string();
    }
    static bool holds(const std::string& text, const std::string& part)
    {
        return text.find(part) != std::string::npos;
    }

    fs::path copy_;
};

struct Kind {
    repo::KeyKind kind;
    const char* name;
    bool backups;        ///< costs backups
    bool newest_mark;    ///< keeps the newest mark from being restored
    bool noticed = true; ///< when lost: some derived or unnamed objects are made again or missed
};

TEST_P(DamageTest, VerifyNamesTheObjectAndWhatItCosts)
{
    using enum repo::KeyKind;
    bool lost = GetParam() == Harm::lose;
    for (const auto& [kind, name, backups, newest_mark, noticed] :
         {Kind{pack, "pack", true, false}, Kind{page_map, "page map", true, false},
          Kind{manifest, "manifest", true, false}, Kind{piece, "piece", false, true},
          Kind{index, "idx", false, false, false}, Kind{mark, "mark", false, true},
          Kind{set, "set", false, false, false}, Kind{identity, "identity", false, false}}) {
        SCOPED_TRACE(name);
        SetUp();
        auto object = newest(kind);
        harm(object, GetParam());
        auto verify = on_copy({"verify", "--json"});
        bool found = noticed || !lost;
        EXPECT_EQ(verify.code(), found ? 4 : 0) << verify.text();
        auto key = object.lexically_relative(copy_).string();
        if (!found) {
            EXPECT_FALSE(verify.json().at("notes").empty()) << verify.text();
            continue;
        }
        bool named = false, costs_backups = false, costs_newest = false;
        auto document = verify.json();
        for (const auto& fault : document.at("faults")) {
            named = named || fault.dump().find(key) != std::string::npos;
            costs_backups = costs_backups || !fault.at("backups").empty();
            costs_newest = costs_newest || fault.at("marks").dump().find('3') != std::string::npos;
        }
        EXPECT_TRUE(named) << verify.text();
        EXPECT_EQ(costs_backups, backups) << verify.text();
        EXPECT_EQ(costs_newest, newest_mark) << verify.text();
        if (kind == mark) {
            EXPECT_EQ(document.at("marks"), 3) << verify.text();
            EXPECT_EQ(document.at("restorable_marks"), 2) << verify.text();
        }
        // What looks only at names and commit objects goes on, whatever is broken.
        for (const auto& what : {"marks", "backups", "sets", "runs"}) {
            auto list = on_copy({"list", what, "--json"});
            EXPECT_TRUE(list.code() == 0 || list.code() == 3) << list.text();
        }
    }
}

TEST_P(DamageTest, ARestoreRefusesWhatItNeedsAndIsDamaged)
{
    using enum repo::KeyKind;
    for (auto kind : {pack, page_map, piece}) {
        SetUp();
        // The newest backup's and the newest log: what a restore to the latest mark reads.
        harm(newest(kind), GetParam());
        auto run = restored();
        if (run.code() == 0 || run.code() == 3) {
            // Another path: an older backup, an earlier mark.
            auto where = run.json().at("report").at("mark").at("name").get<std::string>();
            auto verdict = lab_->check(run, where);
            EXPECT_TRUE(verdict.clean()) << verdict.describe();
            if (GetParam() == Harm::corrupt) {
                EXPECT_NE(kind, piece) << "the plan sees names and sizes only";
            }
        } else {
            EXPECT_EQ(kind, piece) << "an older base backup leads there";
            EXPECT_EQ(run.code(), 4) << run.text();
            EXPECT_NE(run.err.find("verify"), std::string::npos) << run.text();
        }
        clear_target();
    }
}

/// The plan sees names and sizes only, so the damage is met on the way.
TEST_P(DamageTest, ARestoreTakesAnOlderBaseBackupAndNamesBoth)
{
    if (GetParam() != Harm::corrupt) GTEST_SKIP() << "the plan sees that";
    using enum repo::KeyKind;
    for (auto kind : {pack, page_map}) {
        SetUp();
        auto object = newest(kind);
        harm(object, GetParam());
        auto run = restored();
        ASSERT_EQ(run.code(), 3) << run.text();
        auto document = run.json();
        EXPECT_EQ(document.at("report").at("mark").at("name"), "three") << run.text();
        auto warnings = document.at("report").at("warnings").dump();
        for (const auto& named :
             {key_of(object), std::string("member m1"), std::string("b-2"), std::string("b-1")})
            EXPECT_TRUE(holds(warnings, named)) << named << ": " << run.text();
        auto verdict = lab_->check(run, "three");
        EXPECT_TRUE(verdict.clean()) << verdict.describe();
        clear_target();
    }
}

/// Indexes are derived; the newest mark and manifest have older ones beside them.
TEST_P(DamageTest, ARestoreGoesRoundWhatItDoesNotNeed)
{
    using enum repo::KeyKind;
    for (const auto& entry : fs::recursive_directory_iterator(copy_)) {
        auto key = repo::parse_key(entry.path().lexically_relative(copy_).string());
        if (key && key->kind == index) harm(entry.path(), GetParam());
    }
    auto object = newest(mark);
    harm(object, GetParam());
    harm(newest(manifest), GetParam());
    harm(newest(set), GetParam());
    auto result = restored();
    ASSERT_EQ(result.code(), 3) << result.text();
    auto warnings = result.json().at("warnings").dump();
    // With its set gone, too, only what this host remembers tells of the mark.
    bool told = GetParam() == Harm::lose;
    EXPECT_TRUE(holds(warnings, told ? "the repository went back" : key_of(object)))
        << result.text();
    EXPECT_EQ(result.json().at("report").at("mark").at("name"), "two") << result.text();
    auto verdict = lab_->check(result, "two");
    EXPECT_TRUE(verdict.clean()) << verdict.describe();
    clear_target();
}

/// On a host that never saw the repository.
TEST_P(DamageTest, ARestoreSaysThatItTakesAnOlderMark)
{
    auto object = newest(repo::KeyKind::mark);
    harm(object, GetParam());
    const Tool fresh{lab_->folder() / "elsewhere"};
    for (const char* to : {"latest", "2100-01-01"}) {
        auto plan =
            fresh.run({"restore", "--to", to, "--plan", "--json", "--repo", copy_.string()});
        EXPECT_EQ(plan.code(), 3) << plan.text();
        auto document = plan.json();
        ASSERT_FALSE(document.is_null()) << plan.text();
        EXPECT_EQ(document.at("plan").at("mark").at("name"), "two") << plan.text();
        for (const auto& warnings :
             {document.at("warnings").dump(), document.at("plan").at("warnings").dump()}) {
            EXPECT_TRUE(holds(warnings, key_of(object))) << plan.text();
            EXPECT_FALSE(holds(warnings, "went back")) << plan.text();
        }
    }
    // Whoever names the older one knows what he asks for.
    auto named = fresh.run({"restore", "--to", "two", "--plan", "--repo", copy_.string()});
    EXPECT_EQ(named.code(), 0) << named.text();
    auto result = restored();
    EXPECT_EQ(result.code(), 3) << result.text();
    EXPECT_TRUE(holds(result.json().at("report").at("warnings").dump(), key_of(object)))
        << result.text();
    clear_target();
}

TEST_P(DamageTest, AListSaysWhatItLeavesOut)
{
    if (GetParam() == Harm::lose) GTEST_SKIP() << "nothing is left to be told of";
    using enum repo::KeyKind;
    for (const auto& [kind, what] : {std::pair{run, "runs"}, {hold, "holds"}, {mark, "marks"}}) {
        SCOPED_TRACE(what);
        SetUp();
        ASSERT_EQ(on_copy({"hold", "m-1"}).code(), 0);
        auto whole = on_copy({"list", what, "--json"});
        EXPECT_EQ(whole.code(), 0) << whole.text();
        auto object = newest(kind);
        harm(object, GetParam());
        auto list = on_copy({"list", what, "--json"});
        EXPECT_EQ(list.code(), 3) << list.text();
        EXPECT_TRUE(holds(list.json().at("warnings").dump(), key_of(object) + ": ")) << list.text();
        EXPECT_LT(list.json().at(what).size(), whole.json().at(what).size()) << list.text();
    }
}

TEST_P(DamageTest, WhoeverAsksForADamagedObjectIsToldSo)
{
    using enum repo::KeyKind;
    bool lost = GetParam() == Harm::lose;
    struct Case {
        repo::KeyKind kind;
        Tool::Arguments command;
        int without; ///< the exit code when the object is gone
    };
    for (const auto& [kind, command, without] :
         {Case{mark, {"restore", "--plan", "--to", "m-3"}, 31}, Case{mark, {"show", "m-3"}, 2},
          Case{mark, {"audit", "m-3"}, 2}, Case{mark, {"hold", "m-3"}, 2},
          Case{set, {"show", "s-3"}, 2}, Case{manifest, {"show", "m1/b-2"}, 2}}) {
        SCOPED_TRACE(command.front());
        SetUp();
        auto object = newest(kind);
        harm(object, GetParam());
        auto run = on_copy(command);
        EXPECT_EQ(run.code(), lost ? without : 4) << run.text();
        EXPECT_TRUE(run.explained()) << run.text();
        EXPECT_EQ(holds(run.err, "object " + key_of(object) + " is damaged: "), !lost)
            << run.text();
    }
}

TEST_P(DamageTest, WithoutItsHeadARepositoryIsRefused)
{
    harm(copy_ / "tidemark.json", GetParam());
    for (const auto& command : {"verify", "restore"}) {
        auto run = on_copy({command});
        EXPECT_EQ(run.code(), 4) << run.text();
        EXPECT_TRUE(run.explained()) << run.text();
        EXPECT_NE(run.err.find("tidemark.json"), std::string::npos) << run.text();
    }
}

INSTANTIATE_TEST_SUITE_P(Harms, DamageTest, ::testing::Values(Harm::corrupt, Harm::cut, Harm::lose),
                         [](const auto& harm) {
                             return harm.param == Harm::corrupt ? "Corrupted"
                                    : harm.param == Harm::cut   ? "Cut"
                                                                : "Lost";
                         });

} // namespace
} // namespace tidemark::support
