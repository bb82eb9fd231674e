// `tidemark demo` as a new user runs it, only shorter.

#include "app/demo/lab_folder.h"
#include "cli/tool.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace tidemark::support {
namespace {

/// Its document is compared with docs/guide/json.md (cli/tool.cpp).
TEST(DemoTest, ProvesTheMarkAndShowsTheContrasts)
{
    app::LabFolder folder;
    Tool tool(folder.path() / "scratch");
    auto run = tool.run({"demo", "--members", "2", "--seconds", "3", "--seed", "7", "--json"});
    ASSERT_EQ(run.code(), 0) << run.text();
    auto document = run.json();
    ASSERT_FALSE(document.is_null()) << run.text();
    EXPECT_TRUE(document.at("proven").get<bool>());
    EXPECT_EQ(document.at("seed"), 7);
    EXPECT_GT(document.at("committed"), 0);
    EXPECT_EQ(document.at("tidemark").at("torn"), 0);
    EXPECT_EQ(document.at("tidemark").at("total"), document.at("tidemark").at("expected_total"));
    EXPECT_GT(document.at("tidemark").at("present"), 0);
    ASSERT_EQ(document.at("contrasts").size(), 3U);
    for (const auto& contrast : document.at("contrasts"))
        EXPECT_FALSE(contrast.at("how").get<std::string>().empty());
    // (a) leaves what is prepared; (b) and (c) settle it.
    for (std::size_t i : {1U, 2U})
        EXPECT_EQ(document.at("contrasts").at(i).at("in_doubt"), 0) << run.text();
}

TEST(DemoTest, TellsPeopleAndKeepsWhatTheyMayLookAt)
{
    app::LabFolder folder;
    Tool tool(folder.path() / "scratch");
    auto kept = folder.path() / "kept";
    auto run = tool.run({"demo", "--members", "2", "--seconds", "3", "--keep", kept.string()});
    ASSERT_EQ(run.code(), 0) << run.text();
    EXPECT_NE(run.out.find("RESTORED"), run.out.npos) << run.text();
    EXPECT_NE(run.out.find("\nthe proof holds\n"), run.out.npos) << run.text();
    // The command that it prints, without its name.
    auto config = (kept / "tidemark.toml").string();
    EXPECT_NE(run.out.find("try: tidemark --config " + config + " list marks\n"), run.out.npos)
        << run.text();
    auto marks = tool.run({"--config", config, "list", "marks"});
    EXPECT_EQ(marks.code(), 0) << marks.text();
    EXPECT_NE(marks.out.find("m-1"), marks.out.npos) << marks.text();
}

} // namespace
} // namespace tidemark::support
