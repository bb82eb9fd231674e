#include "app/cli/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <vector>

namespace tidemark::app {
namespace {

using testing::HasSubstr;

struct Refused {
    int code;
    std::string out;
    std::string err;
};

Refused refused(std::vector<const char*> words)
{
    words.insert(words.begin(), "tidemark");
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    auto parsed = parse_command_line(static_cast<int>(words.size()), words.data());
    EXPECT_TRUE(parsed.finished);
    auto out = testing::internal::GetCapturedStdout();
    return {parsed.code, out, testing::internal::GetCapturedStderr()};
}

// rule 28: PostgreSQL takes every code up to 125 for "the log ends here".
TEST(UsageTest, AMistakeInTheCallOfTheLogHelperIsNoEndOfTheLog)
{
    for (const auto& words : std::vector<std::vector<const char*>>{
             {"fetch-log"},
             {"fetch-log", "/work"},
             {"fetch-log", "/work", "000000010000000000000001"},
             {"fetch-log", "--frob", "/work", "000000010000000000000001", "target"},
             {"fetch-log", "/work", "000000010000000000000001", "target", "more"},
             {"fetch-log", "--config"}}) {
        auto end = refused(words);
        EXPECT_EQ(end.code, 200) << end.err;
        EXPECT_THAT(end.err, HasSubstr("tidemark: fetch-log: "));
    }
}

TEST(UsageTest, WithJsonAMistakeIsADocumentToo)
{
    struct Case {
        std::vector<const char*> words;
        const char* command;
        const char* message;
    };
    for (const auto& each : std::vector<Case>{
             {{"--json", "frob"}, "", "there is no command frob"},
             {{"--json"}, "", "there is no command"},
             {{"list", "--json"}, "list", "list: an argument is missing: marks | backups"},
             {{"list", "frob", "--json"}, "list", "list: frob not in {marks,"},
             {{"--frob", "--json"}, "", "--frob"},
             {{"mark", "--frob", "--json"}, "mark", "--frob"},
             {{"drill", "--jobs", "none", "--json"}, "drill", "--jobs"}}) {
        auto end = refused(each.words);
        EXPECT_EQ(end.code, 2);
        auto document = nlohmann::json::parse(end.out, nullptr, false);
        ASSERT_FALSE(document.is_discarded()) << end.out << end.err;
        EXPECT_EQ(document.at("schema"), 1);
        EXPECT_EQ(document.at("command"), each.command);
        EXPECT_EQ(document.at("exit"), 2);
        EXPECT_EQ(document.at("exit_name"), "usage");
        EXPECT_EQ(document.at("error").at("code"), "usage");
        EXPECT_THAT(document.at("error").at("message").get<std::string>(), HasSubstr(each.message));
        EXPECT_FALSE(document.at("error").at("hint").get<std::string>().empty());
    }
    // A name of a mark, say, behind the end of the options.
    EXPECT_EQ(refused({"frob", "--", "--json"}).out, "");
}

TEST(UsageTest, WhatIsMissingIsSaidWithAnExample)
{
    for (const auto& [command, missing] :
         std::vector<std::pair<const char*, const char*>>{{"list", "marks | backups"},
                                                          {"show", "m-12, s-7"},
                                                          {"audit", "[G] MARK"},
                                                          {"hold", "m-12"},
                                                          {"release", "m-12"},
                                                          {"completion", "bash | zsh"},
                                                          {"add-member", "NAME=URL"}}) {
        auto end = refused({command});
        EXPECT_EQ(end.code, 2);
        EXPECT_EQ(end.out, "");
        EXPECT_THAT(end.err, HasSubstr(std::string("an argument is missing: ") + missing));
        EXPECT_THAT(end.err, HasSubstr(std::string("next: for example: tidemark ") + command));
    }
    EXPECT_THAT(refused({"completion", "sh"}).err, HasSubstr("completion: sh not in {bash,"));
}

// The demo's servers run as whoever calls it, or as postgres.
TEST(UsageTest, AnOptionThatACommandIgnoresIsRefused)
{
    for (const auto& words : std::vector<std::vector<const char*>>{
             {"demo", "--user", "postgres"}, {"sheet", "--user", "postgres"}}) {
        auto end = refused(words);
        EXPECT_EQ(end.code, 2);
        EXPECT_THAT(end.err, HasSubstr("--user"));
    }
}

// `show` and `hold` take the group last.
TEST(UsageTest, AuditTakesMarkAndGroupInBothOrders)
{
    for (const auto& words : std::vector<std::vector<const char*>>{
             {"tidemark", "audit", "shop", "m-9"}, {"tidemark", "audit", "m-9", "shop"}}) {
        auto parsed = parse_command_line(static_cast<int>(words.size()), words.data());
        EXPECT_EQ(parsed.options.group, "shop");
        EXPECT_EQ(parsed.options.subject, "m-9");
    }
}

} // namespace
} // namespace tidemark::app
