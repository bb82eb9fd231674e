#include "app/cli/options.h"

#include "base/error.h"

#include <gtest/gtest.h>

namespace tidemark::app {
namespace {

int code_of(std::vector<const char*> words)
{
    words.insert(words.begin(), "tidemark");
    auto parsed = parse_command_line(static_cast<int>(words.size()), words.data());
    return parsed.finished ? parsed.code : -1;
}

// What an unset variable of a shell makes of a command must not be another command.
TEST(OptionsTest, EmptyWordsAreRefused)
{
    const int usage = static_cast<int>(base::Code::usage);
    EXPECT_EQ(code_of({"restore", "--to", "", "--plan"}), usage);
    EXPECT_EQ(code_of({"restore", "--to="}), usage);
    EXPECT_EQ(code_of({"restore", "--dir", ""}), usage);
    EXPECT_EQ(code_of({"restore", "--only", "a", "--only", ""}), usage);
    EXPECT_EQ(code_of({"drill", "--to", ""}), usage);
    EXPECT_EQ(code_of({"hold", ""}), usage);
    EXPECT_EQ(code_of({"hold", "m-1", "--until", ""}), usage);
    EXPECT_EQ(code_of({"mark", "--at", ""}), usage);
    EXPECT_EQ(code_of({"mark", ""}), usage);
    EXPECT_EQ(code_of({"audit", ""}), usage);
    EXPECT_EQ(code_of({"--repo", "", "status"}), usage);
    EXPECT_EQ(code_of({"leave", ""}), usage);
    EXPECT_EQ(code_of({"hold", "m-1", "--note", ""}), -1);
    EXPECT_EQ(code_of({"restore", "--to", "m-1", "--plan"}), -1);
}

} // namespace
} // namespace tidemark::app
