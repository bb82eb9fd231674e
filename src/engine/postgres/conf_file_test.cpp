#include "engine/postgres/conf_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::engine::postgres {
namespace {

using ::testing::ElementsAre;

TEST(ConfFileTest, Lines)
{
    EXPECT_EQ(parse_conf_line("port = 5432"), (ConfLine{"port", "5432"}));
    EXPECT_EQ(parse_conf_line("  Port 5433 # remark"), (ConfLine{"port", "5433"}));
    EXPECT_EQ(parse_conf_line("archive_command = 'cp %p ''/x y''/%f' # r"),
              (ConfLine{"archive_command", "cp %p '/x y'/%f"}));
    EXPECT_EQ(parse_conf_line("a.b='C:\\\\x\\'y'\r"), (ConfLine{"a.b", "C:\\x'y"}));
    for (const char* line : {"", "   ", "# port = 1", "port", "port =", "= 5", "x = 'open"}) {
        EXPECT_FALSE(parse_conf_line(line)) << line;
    }
}

TEST(ConfFileTest, AnyValueStaysOnItsLine)
{
    EXPECT_EQ(conf_line("x", "a\nport = 1\\'"), "x = 'a\\nport = 1\\\\'''\n");
    EXPECT_EQ(parse_conf_line(R"(x = 'a\nport = 1\\''')"), (ConfLine{"x", "a\nport = 1\\'"}));
    EXPECT_EQ(parse_conf_line(R"(x = '\101\b\12 \9')"), (ConfLine{"x", "A\b\n 9"}));
}

TEST(ConfFileTest, QuotingSurvivesReading)
{
    for (const char* value : {"", "plain", "it's", "back\\slash", "a # b", "/p/q r"}) {
        EXPECT_EQ(parse_conf_line(conf_line("x", value)), (ConfLine{"x", value}));
    }
}

TEST(ConfFileTest, Includes)
{
    EXPECT_EQ(parse_include("include_dir 'conf.d'")->path, "conf.d");
    EXPECT_EQ(parse_include("include_if_exists = '/etc/x'")->kind, Include::Kind::file_if_exists);
    EXPECT_EQ(parse_include("include \"more.hba\"")->path, "more.hba");
    EXPECT_FALSE(parse_include("included = 'x'"));
    EXPECT_FALSE(parse_include("#include 'x'"));
}

TEST(ConfFileTest, EditsListEveryChangedLine)
{
    ConfEdit edit;
    edit.settings = {{"data_directory", "/new"}, {"port", "5432"}, {"restore_command", {}}};
    edit.includes = {{"conf.d", "/new/captured"}};
    auto out = edit_conf("# top\ndata_directory = '/old'\nport = 5432\ninclude_dir = 'conf.d'\n"
                         "restore_command = 'x'\n",
                         edit);
    EXPECT_EQ(out.text, "# top\ndata_directory = '/new'\nport = 5432\n"
                        "include_dir '/new/captured'\n#restore_command = 'x'\n");
    EXPECT_THAT(out.changed, ElementsAre("data_directory = '/old' -> data_directory = '/new'",
                                         "include_dir = 'conf.d' -> include_dir '/new/captured'",
                                         "restore_command = 'x' -> #restore_command = 'x'"));
}

} // namespace
} // namespace tidemark::engine::postgres
