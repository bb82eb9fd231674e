#include "job/init.h"

#include "base/error.h"
#include "job/world_testing.h"
#include "repo/identities.h"

#include <map>

namespace tidemark::job {
namespace {

/// A second repository that is told to back up the same servers under the same group name.
class SecondRepository {
public:
    explicit SecondRepository(World& world)
        : storage_(world.clock()), context_(world.context()), repository_([&] {
              base::SeededRandom random(2);
              return repo::Repository::create(storage_, random);
          }())
    {
    }

    void initialise()
    {
        job::initialise({.repository = repository_,
                         .engine = context_.engine,
                         .group = context_.group,
                         .progress = context_.progress,
                         .clock = context_.clock,
                         .stop = {},
                         .command = "init",
                         .host = "here"},
                        {.unbounded = true});
    }
    void went_to_make_the_slots()
    {
        for (const auto& member : context_.group.members) {
            repo::Lease::acquire(storage_, context_.group.name, "slot/" + member.name,
                                 repo::LeaseOwner::this_process("init"), {.renew = false});
        }
    }
    bool knows(const std::string& member)
    {
        repo::Identities identities{storage_, {.group = "shop", .member = member}};
        return identities.latest().has_value();
    }

private:
    store::MemoryStorage storage_;
    Context context_;
    repo::Repository repository_;
};

TEST(InitTest, TheSlotOfAnotherRepositoryIsNotTaken)
{
    World world;
    SecondRepository second(world);
    auto before = world.server(0).slot().restart;
    try {
        second.initialise();
        FAIL() << "two repositories would tell one slot what each has stored";
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::member_not_ready) << error.what();
        EXPECT_NE(error.hint().find("--group"), std::string::npos);
    }
    EXPECT_EQ(world.server(0).slot().restart, before);
    EXPECT_FALSE(second.knows("a"));
    EXPECT_FALSE(second.knows("b"));
    // The first one goes on.
    world.work();
    place_mark(world.context(), MarkOptions{});
    world.check_whole();
}

TEST(InitTest, TheSlotThatADeadRunOfThisRepositoryMadeIsTaken)
{
    World world; // its slots stand for those that the dead run made
    SecondRepository second(world);
    second.went_to_make_the_slots();
    second.initialise();
    EXPECT_TRUE(second.knows("a"));
    EXPECT_TRUE(second.knows("b"));
}

TEST(InitTest, OneClusterUnderTwoNamesIsRefused)
{
    World world;
    SecondRepository second(world);
    second.went_to_make_the_slots();
    world.server(1).change_system_id("70000000000000000a"); // that of the first
    try {
        second.initialise();
        FAIL() << "it would be backed up twice";
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::usage) << error.what();
        EXPECT_NE(std::string(error.what()).find("a and b are the same cluster"), std::string::npos)
            << error.what();
    }
    EXPECT_FALSE(second.knows("a"));
}

TEST(InitTest, AgainDoesNothing)
{
    World world;
    auto before = world.server(0).slot().restart;
    auto outcome = initialise(world.context(), {.unbounded = true});
    for (const auto& member : outcome.members) {
        EXPECT_FALSE(member.slot_created);
        EXPECT_FALSE(member.recorded);
    }
    EXPECT_EQ(world.server(0).slot().restart, before);
}

// rule 6
TEST(InitTest, WhatIsPreparedIsListedBeforeAndAfterTheSlotIsMade)
{
    World world;
    auto server =
        world.engine().add_server({.name = "c", .system_id = "800c", .clock = &world.clock()});
    server->prepare("goes");
    server->prepare("stays");
    server->on_operation([&](const std::string& operation) {
        if (operation != "create_slot") return;
        server->finish("goes", true);
        server->prepare("comes");
    });
    model::GroupSpec group;
    group.name = "second";
    group.members.push_back(
        {.name = "c", .url = "fake:c", .data_dir = {}, .gid_pattern = "identical"});
    initialise(world.context().for_group(group), {.unbounded = true});
    server->on_operation({});
    auto record = repo::Identities(world.storage(), {.group = "second", .member = "c"}).latest();
    ASSERT_TRUE(record.has_value());
    std::map<std::string, bool> gone;
    for (const auto& seed : record->value.seeds)
        gone[seed.gid] = seed.gone;
    EXPECT_EQ(gone,
              (std::map<std::string, bool>{{"comes", false}, {"goes", true}, {"stays", false}}));
}

} // namespace
} // namespace tidemark::job
