// Every kind of object that a repository holds is read by verify: one flipped bit or a cut of any
// of them is told, with its name.

#include "job/expire_testing.h"
#include "repo/drills.h"
#include "repo/histories.h"
#include "repo/holds.h"
#include "repo/intents.h"
#include "repo/json.h"
#include "repo/restore_book.h"
#include "repo/runs.h"
#include "store/faulty.h"

#include <map>
#include <set>

namespace tidemark::job {
namespace {

using namespace std::chrono_literals;
using repo::KeyKind;

class VerifyKindsTest : public ExpireTest {
protected:
    VerifyKindsTest()
    {
        live_a_while();
        leave_what_jobs_leave();
    }

    /// Base backups, marks, sets, log in joined pieces, a tombstone for those they replace.
    void live_a_while()
    {
        for (int i = 0; i < 6; ++i) {
            world_.clock().advance(1min);
            world_.work();
            place_mark(world_.context(), MarkOptions{});
        }
        world_.clock().advance(2h);
        EXPECT_GT(expire(world_.context(), options(world_)).joined, 0U);
    }

    void leave_what_jobs_leave()
    {
        auto& storage = world_.storage();
        auto mark = world_.view().marks.front().number();
        auto now = world_.clock().now();
        model::Run run;
        run.group = "shop";
        run.command = "mark";
        repo::Runs(storage, "shop").append(run);
        model::Drill drill;
        drill.group = "shop";
        drill.mark = mark;
        drill.mark_time = drill.started = drill.ended = now;
        repo::Drills(storage, "shop").append(drill);
        repo::HoldBook(storage, "shop")
            .hold({.mark = mark, .note = "audit", .by = "here", .since = now, .until = {}});
        model::JointReport report{
            .host = "here", .folder = "/r", .ticket = "t", .program = "p", .at = now};
        repo::RestoreBook(storage, "shop")
            .enlist({.mark = mark, .all_members = {"a", "b"}, .reports = {{"a", report}}});
        model::Intent intent;
        intent.group = "shop";
        intent.command = "restore";
        repo::Announcement::make(storage, intent).reset();
        const model::MemberId id{"shop", "a"};
        repo::store_history(storage, id, 2, "1\t0/3000000\tno recovery target specified\n");
        repo::claim_epoch(storage, id, 3, "m-1, member a");
        model::LogIndex index;
        index.range = {.epoch = 2, .from = 0x3000000, .to = 0x3001000};
        index.notices = {
            {.kind = model::LogNoticeKind::wal_level_minimal, .start = 0x3000100, .detail = ""}};
        repo::note_barriers(storage, id, index);
    }

    /// All keys of the group, but of each activity only the newest lease: what was followed by a
    /// good one stops nobody.
    std::map<std::string, KeyKind> keys()
    {
        std::map<std::string, KeyKind> out;
        std::map<std::string, std::string> leases; // listed in the order of their numbers
        for (const auto& info : world_.storage().list("groups/")) {
            if (info.key == repo::reserve_key("shop")) continue; // holds nothing but room
            auto key = repo::parse_key(info.key);
            EXPECT_TRUE(key) << info.key;
            if (!key) continue;
            if (key->kind == KeyKind::lease)
                leases.insert_or_assign(key->activity, info.key);
            else
                out.emplace(info.key, key->kind);
        }
        for (const auto& [activity, key] : leases)
            out.emplace(key, KeyKind::lease);
        return out;
    }

    /// A fault of the object itself, or a note that begins with it.
    bool told(const std::string& key)
    {
        auto report = repo::verify(repo::Repository::open(faulty_), "shop",
                                   repo::VerifyOptions{.workers = 1});
        return std::ranges::any_of(report.faults,
                                   [&](const auto& fault) { return fault.object == key; }) ||
               std::ranges::any_of(report.notes, [&](const std::string& note) {
                   return note.starts_with(key + ": ");
               });
    }

    World world_;
    store::FaultyStorage faulty_{
        std::shared_ptr<store::Storage>(std::shared_ptr<void>{}, &world_.storage())};
};

TEST_F(VerifyKindsTest, TheRepositoryHoldsEveryKindAndIsSound)
{
    std::set<KeyKind> kinds{KeyKind::head}; // tidemark.json, which opening it reads
    for (const auto& [key, kind] : keys())
        kinds.insert(kind);
    for (int kind = 0; kind <= static_cast<int>(KeyKind::restore); ++kind)
        EXPECT_TRUE(kinds.contains(static_cast<KeyKind>(kind))) << "kind " << kind;
    auto report = repo::verify(world_.repository(), "shop");
    for (const auto& fault : report.faults)
        ADD_FAILURE() << fault.object << ": " << fault.text;
}

TEST_F(VerifyKindsTest, AFlippedBitIsTold)
{
    for (const auto& [key, kind] : keys()) {
        faulty_.heal();
        faulty_.corrupt(key, world_.storage().stat(key)->size / 2);
        EXPECT_TRUE(told(key)) << key;
    }
}

TEST_F(VerifyKindsTest, ACutIsTold)
{
    for (const auto& [key, kind] : keys()) {
        faulty_.heal();
        faulty_.cut(key, world_.storage().stat(key)->size / 2);
        EXPECT_TRUE(told(key)) << key;
    }
}

TEST_F(VerifyKindsTest, ADamagedHeadIsNotOpened)
{
    faulty_.corrupt(repo::kHeadKey, world_.storage().stat(repo::kHeadKey)->size / 2);
    try {
        repo::Repository::open(faulty_);
        FAIL() << "opened";
    } catch (const base::Error& error) {
        EXPECT_NE(std::string(error.what()).find(repo::kHeadKey), std::string::npos)
            << error.what();
    }
}

TEST_F(VerifyKindsTest, WhatNoMarkNeedsIsANoteThatSaysWhatItDoes)
{
    for (const auto& [key, kind] : keys()) {
        if (kind != KeyKind::intent && kind != KeyKind::claim && kind != KeyKind::barrier) continue;
        faulty_.heal();
        faulty_.corrupt(key, world_.storage().stat(key)->size / 2);
        auto report = repo::verify(repo::Repository::open(faulty_), "shop");
        EXPECT_TRUE(report.ok()) << key;
        auto note = std::ranges::find_if(report.notes, [&](const std::string& one) {
            return one.starts_with(key + ": damaged");
        });
        ASSERT_NE(note, report.notes.end()) << key;
        EXPECT_EQ(note->find("retention removes nothing") != std::string::npos,
                  kind == KeyKind::intent)
            << *note;
    }
}

TEST_F(VerifyKindsTest, WhatANewerProgramLeftBesideTheDataIsANote)
{
    auto& storage = world_.storage();
    for (const auto& [key, kind] : keys()) {
        if (kind != KeyKind::intent && kind != KeyKind::claim) continue;
        auto before = store::get(storage, key, 1U << 20);
        ASSERT_TRUE(before) << key;
        repo::JsonBuilder newer({kind == KeyKind::intent ? "intent" : "claim", 2});
        storage.remove(key);
        ASSERT_EQ(store::put(storage, key, newer.bytes()), store::Created::yes);
        auto report = repo::verify(world_.repository(), "shop");
        EXPECT_TRUE(report.ok()) << key;
        EXPECT_TRUE(std::ranges::any_of(report.notes, [&](const std::string& note) {
            return note.starts_with(key + ": ") && note.find("newer Tidemark") != std::string::npos;
        })) << key;
        storage.remove(key);
        ASSERT_EQ(store::put(storage, key, *before), store::Created::yes);
    }
}

} // namespace
} // namespace tidemark::job
