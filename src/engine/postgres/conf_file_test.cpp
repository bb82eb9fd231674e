#include "engine/postgres/conf_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::engine::postgres {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

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
    EXPECT_FALSE(parse_include("included = 'x'"));
    EXPECT_FALSE(parse_include("#include 'x'"));
}

TEST(ConfFileTest, EditsListEveryChangedLine)
{
    ConfEdit edit;
    edit.settings = {{"data_directory", "/new"}, {"port", "5432"}, {"restore_command", {}}};
    edit.includes = {{"conf.d", "/new/captured"}, {"lost.d", std::nullopt}, {"/same", "/same"}};
    auto out = edit_conf("# top\ndata_directory = '/old'\nport = 5432\ninclude_dir = 'conf.d'\n"
                         "restore_command = 'x'\ninclude_dir 'lost.d' # r\ninclude '/same' # r\n",
                         edit);
    EXPECT_EQ(out.text, "# top\ndata_directory = '/new'\nport = 5432\n"
                        "include_dir '/new/captured'\n#restore_command = 'x'\n"
                        "#include_dir 'lost.d' # r\ninclude '/same' # r\n");
    EXPECT_THAT(out.changed, ElementsAre("data_directory = '/old' -> data_directory = '/new'",
                                         "include_dir = 'conf.d' -> include_dir '/new/captured'",
                                         "restore_command (its value is not shown) -> a remark",
                                         "include_dir 'lost.d' # r -> a remark: the backup holds "
                                         "nothing of it"));
}

TEST(ConfFileTest, ChangedLinesHoldNoSecret)
{
    std::string text = "primary_conninfo = 'host=db password=hunter2secret'\n"
                       "ssl_passphrase_command = 'echo hunter2secret'\n"
                       "archive_command = 'aws hunter2secret %p'\n"
                       "myext.api_token = 'hunter2secret'\n"
                       "myext.target = 'Password=hunter2secret'\n"
                       "ssl_key_file = '/old/server.key' # hunter2secret\n";
    ConfEdit edit;
    for (const auto& line : split_lines(text))
        edit.settings[parse_conf_line(line)->name] = "new";
    edit.settings["primary_conninfo"] = std::nullopt;
    auto out = edit_conf(text, edit);
    EXPECT_THAT(out.changed, SizeIs(6));
    EXPECT_THAT(out.changed, Each(Not(HasSubstr("hunter2secret"))));
    EXPECT_THAT(out.changed, Contains("ssl_key_file = '/old/server.key' -> ssl_key_file = 'new'"));
    EXPECT_THAT(out.changed, Contains(HasSubstr("myext.api_token (its value is not shown) -> ")));
}

} // namespace
} // namespace tidemark::engine::postgres
