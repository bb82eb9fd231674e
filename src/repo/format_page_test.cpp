// docs/repository-format.md against what the program writes: a field, a kind or an activity that
// the page lacks is found in the sources.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <regex>
#include <set>
#include <sstream>

namespace tidemark::repo {
namespace {

namespace fs = std::filesystem;
using Words = std::set<std::string>;

std::string text_of(const fs::path& path)
{
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

const fs::path kSources = TIDEMARK_SOURCE_DIR "/src";

std::string page()
{
    return text_of(TIDEMARK_SOURCE_DIR "/docs/repository-format.md");
}

/// The pattern's first group, wherever it is in the room's sources. What hosts remember outside of
/// repositories is no part of the format.
Words found(const fs::path& folder, const std::string& pattern)
{
    const std::regex regex(pattern);
    Words out;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
        auto name = entry.path().filename().string();
        if (!name.ends_with(".cpp") || name.ends_with("_test.cpp") || name.ends_with("_memory.cpp"))
            continue;
        auto text = text_of(entry.path());
        for (std::sregex_iterator at(text.begin(), text.end(), regex), end; at != end; ++at)
            out.insert((*at)[1].str());
    }
    return out;
}

/// The words that stand in code quotes.
Words quoted(const std::string& text)
{
    Words out;
    const std::regex span("`([^`\n]+)`");
    const std::regex word("[a-z_0-9]+");
    for (std::sregex_iterator at(text.begin(), text.end(), span), end; at != end; ++at) {
        auto inside = (*at)[1].str();
        for (std::sregex_iterator one(inside.begin(), inside.end(), word); one != end; ++one)
            out.insert(one->str());
    }
    return out;
}

TEST(FormatPageTest, NamesEveryField)
{
    auto known = quoted(page());
    auto fields = found(kSources / "repo", R"re((?:\.|put_)\w+\((?:out, )?"([a-z_0-9]+)"\s*,)re");
    EXPECT_GT(fields.size(), 200U);
    for (const auto& field : fields)
        EXPECT_TRUE(known.contains(field)) << "`" << field << "` is not on the page";
}

TEST(FormatPageTest, HasASectionForEveryKind)
{
    auto text = page();
    auto kinds = found(kSources / "repo", R"re(DocumentKind k\w+\{"(\w+)")re");
    kinds.merge(found(kSources / "repo", R"re(JsonBuilder \w+\{\{"(\w+)")re"));
    EXPECT_GT(kinds.size(), 12U);
    for (const auto& kind : kinds)
        EXPECT_TRUE(std::regex_search(text, std::regex("\n### [^\n]*\\(`" + kind + "`\\)\n")))
            << kind;
}

TEST(FormatPageTest, ListsEveryActivity)
{
    std::smatch row;
    auto text = page();
    ASSERT_TRUE(std::regex_search(text, row, std::regex("\n\\| `groups/G/leases/A/n` [^\n]*")));
    auto known = quoted(row.str());
    auto activities = found(kSources, R"re(Lease::acquire\([^;"]*"([a-z]+)/?")re");
    activities.merge(found(kSources, R"re(_activity\([^)]*\)\s*\{\s*return "([a-z]+)/)re"));
    for (const char* one : {"log", "backup", "expire", "check", "slot"})
        EXPECT_TRUE(activities.contains(one)) << one << " was not found in the sources";
    for (const auto& one : activities)
        EXPECT_TRUE(known.contains(one)) << "activity " << one << " is not on the page";
}

/// "its script has N lines".
TEST(FormatPageTest, CountsTheLinesOfTheScript)
{
    auto script = text_of(TIDEMARK_SOURCE_DIR "/tests/by_hand/restore-member.pl");
    auto lines = std::to_string(std::count(script.begin(), script.end(), '\n'));
    EXPECT_NE(page().find("its script has " + lines + " lines"), std::string::npos) << lines;
}

} // namespace
} // namespace tidemark::repo
