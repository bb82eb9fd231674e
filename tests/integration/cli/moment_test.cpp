// A moment between marks, from the repository alone, of a group whose branches have gids of their
// own: without its gid_pattern no pair is recognised, and a transfer could be cut in half.

#include "base/clock.h"
#include "base/fd.h"
#include "cli/group_lab.h"
#include "engine/postgres/pq.h"

#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace tidemark::support {
namespace {

using engine::postgres::Connection;

class MomentTest : public ::testing::Test {
protected:
    void SetUp() override
    {
        for (const auto& member : lab_.bank.members)
            Connection::open(member.url).exec("DROP DATABASE bank");
        lab_.bank.two_databases = true;
        lab_.bank.crash_share = 0.2;
        app::create_bank(lab_.bank);
        auto made = lab_.init();
        ASSERT_EQ(made.code(), 0) << made.text();
        configure_pattern();
    }
    void TearDown() override { stop_restored(lab_.target("r")); }

    void configure_pattern()
    {
        std::string text(base::as_text(base::read_file(lab_.config, 1U << 20)));
        auto line = "gid_pattern = '" + app::bank_gid_pattern(lab_.bank) + "'\n";
        std::string_view section = "[[group.shop.member]]\n";
        std::size_t members = 0;
        for (auto at = text.find(section); at != text.npos; at = text.find(section, at + 1)) {
            text.insert(at + section.size(), line);
            ++members;
        }
        ASSERT_EQ(members, lab_.bank.members.size()) << text;
        std::ofstream(lab_.config, std::ios::trunc) << text;
    }

    ToolRun alone(Tool::Arguments arguments)
    {
        arguments.insert(arguments.begin(), {"--repo", lab_.repository.string()});
        return lab_.tool.run(arguments);
    }

    GroupLab lab_;
};

TEST_F(MomentTest, TheRepositoryAloneKnowsWhichGidsBelongTogether)
{
    auto backup = lab_.backup("base");
    ASSERT_EQ(backup.code(), 0) << backup.text();
    app::Bank load(lab_.bank, lab_.witness);
    load.start();
    std::vector<std::string> times;
    for (int i = 0; i < 8; ++i) {
        lab_.commits(load, 25);
        times.push_back(base::format_time(lab_.moment("moment")));
    }
    lab_.commits(load, 25);
    load.stop();
    auto last = lab_.mark("last");
    ASSERT_EQ(last.code(), 0) << last.text();

    std::size_t in_doubt = 0;
    for (const auto& time : times) {
        Tool::Arguments plan{"restore", "--to", time, "--plan", "--json"};
        auto with = lab_.run(plan);
        auto without = alone(plan);
        ASSERT_EQ(without.code(), 0) << without.text();
        ASSERT_EQ(with.code(), 0) << with.text();
        EXPECT_EQ(without.json().at("plan").at("in_doubt"), with.json().at("plan").at("in_doubt"));
        EXPECT_EQ(without.json().at("moment"), with.json().at("moment"));
        in_doubt += with.json().at("plan").at("in_doubt").size();
    }
    EXPECT_GT(in_doubt, 0U) << "the load had nothing under way at any of the moments";

    auto run = alone(
        {"restore", "--to", times.back(), "--dir", lab_.target("r").string(), "--json", "--start"});
    ASSERT_EQ(run.code(), 0) << run.text();
    auto verdict = lab_.check(run, "moment");
    EXPECT_TRUE(verdict.clean()) << verdict.describe();
    EXPECT_EQ(verdict.in_doubt, 0U);
    EXPECT_GT(verdict.present, 0U);
    EXPECT_EQ(alone({"audit", "last"}).code(), 0);

    std::string file = times.back();
    std::erase(file, ':');
    EXPECT_TRUE(std::filesystem::exists(lab_.target("r") / ("restore-" + file + ".txt")))
        << run.text();
    EXPECT_TRUE(run.json().at("report").at("mark").at("number").is_null()) << run.text();
    auto drill = lab_.run({"drill", "--to", times.back()});
    EXPECT_NE(drill.out.find("the moment 20"), std::string::npos) << drill.text();
    auto list = lab_.run({"list", "drills"});
    auto status = lab_.run({"status"});
    for (const auto& told : {run, drill, list, status})
        EXPECT_EQ(told.text().find("m-0"), std::string::npos) << told.text();
}

} // namespace
} // namespace tidemark::support
