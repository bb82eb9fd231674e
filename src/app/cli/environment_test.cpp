#include "app/cli/environment.h"

#include "base/random.h"
#include "base/temp_dir.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

namespace tidemark::app {
namespace {

/// Threads that a command with --jobs has: for each of two members, and where nothing is divided.
class Threads {
public:
    explicit Threads(unsigned jobs)
    {
        base::TempDir dir;
        Output output("backup", false);
        Options options;
        options.command = "backup";
        options.quiet = true;
        options.jobs = jobs;
        Environment environment(options, output);
        environment.set_repository(
            {.name = "main", .url = (dir.path() / "repository").string(), .compression_level = 2});
        model::GroupSpec group;
        group.name = "shop";
        for (const char* name : {"orders", "billing"}) {
            model::MemberSpec member;
            member.name = name;
            group.members.push_back(member);
        }
        environment.set_group(group);
        base::SeededRandom random(1);
        repo::Repository::create(environment.open_place(true), random);
        per_member = environment.context().workers;
        whole_group = environment.workers(1);
    }
    std::uint32_t per_member = 0;
    std::uint32_t whole_group = 0;
};

TEST(EnvironmentTest, JobsAreThreadsPerMember)
{
    // More than one number: one of them may be that of the processors here.
    for (unsigned jobs : {1U, 3U, 5U, 8U}) {
        EXPECT_EQ(Threads(jobs).per_member, jobs);
        EXPECT_EQ(Threads(jobs).whole_group, jobs);
    }
    EXPECT_EQ(Threads(64).per_member, 8U) << "16 in all";
    EXPECT_EQ(Threads(64).whole_group, 16U) << "verify's threads are the whole group's";
    const auto processors = std::max(1U, std::thread::hardware_concurrency());
    EXPECT_EQ(Threads(0).per_member, std::min(8U, processors));
}

} // namespace
} // namespace tidemark::app
