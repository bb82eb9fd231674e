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
}

} // namespace
} // namespace tidemark::support
