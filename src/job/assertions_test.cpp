#include "job/assertions.h"

#include "base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::job {
namespace {

using Expect = Assertion::Expect;
using model::CheckResult;
using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<std::string> kMembers{"billing", "orders"};

std::vector<Assertion> parse(std::string_view text)
{
    return parse_assertions(text, "a.sql", kMembers);
}

std::string mistakes_of(std::string_view text)
{
    try {
        parse(text);
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::usage);
        return error.message();
    }
    return "";
}

TEST(AssertionsTest, PlainStatementsMustBeTrueEverywhere)
{
    auto all = parse("SELECT true;\n\n-- why\nSELECT 1 < 2");
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0].name, "line 1");
    EXPECT_EQ(all[0].database, "postgres");
    EXPECT_EQ(all[0].members, kMembers);
    EXPECT_EQ(all[1].name, "line 4");
    EXPECT_EQ(all[1].sql, "SELECT 1 < 2");
    EXPECT_TRUE(parse(" \n-- nothing\n;;").empty());
}

TEST(AssertionsTest, WordsHoldForOneStatementOrUntilChanged)
{
    auto all = parse("--! database: bank\n--! on: orders\n--! check: money\n--! expect: sum 10.50\n"
                     "SELECT sum(x) FROM t;\nSELECT true;\n--! on: all\n--! expect: equal\n"
                     "SELECT 1;--! expect: sum constant\nSELECT 2;");
    ASSERT_EQ(all.size(), 4U);
    EXPECT_EQ(all[0].name, "money");
    EXPECT_EQ(all[0].expect, Expect::sum);
    EXPECT_EQ(all[0].total, "10.5");
    EXPECT_EQ(all[1].expect, Expect::truth);
    EXPECT_THAT(all[1].members, ElementsAre("orders"));
    EXPECT_EQ(all[1].database, "bank");
    EXPECT_EQ(all[2].expect, Expect::equal);
    EXPECT_EQ(all[2].members, kMembers);
    EXPECT_EQ(all[3].expect, Expect::constant);
}

TEST(AssertionsTest, SemicolonsInQuotesAndCommentsEndNothing)
{
    auto all = parse("SELECT ';' || \";\" || E'\\';' || $a$;'$a$ || $$;$$ /* ; /* ; */ ; */ "
                     "-- ;\n, '';SELECT a$b, $1;");
    ASSERT_EQ(all.size(), 2U);
    EXPECT_THAT(all[0].sql, HasSubstr("$a$;'$a$"));
    EXPECT_EQ(all[1].sql, "SELECT a$b, $1");
}

TEST(AssertionsTest, MistakesAreNamedWithTheirLines)
{
    auto text = mistakes_of("--! chek: x\n--! on: nobody\nSELECT 1\n--! check: y\n;\n"
                            "--! expect: half\nSELECT 2;\n\\d\n--! on: orders\n--! expect: equal\n"
                            "SELECT 3;\n--! check:\n--! check: last\n");
    for (const char* expected :
         {"a.sql:1: unknown word 'chek'", "a.sql:2: there is no member 'nobody'",
          "a.sql:4: this line stands inside a statement", "a.sql:6: 'half' cannot be expected",
          "a.sql:8: commands of psql", "a.sql:11: equal needs two", "a.sql:12: expected --!",
          "a.sql:13: no statement follows"})
        EXPECT_THAT(text, HasSubstr(expected));
    EXPECT_THAT(mistakes_of("SELECT 'x\n;"), HasSubstr("a.sql:1: this quote has no end"));
    EXPECT_THAT(mistakes_of("/* x"), HasSubstr("a.sql:1: this comment has no end"));
    EXPECT_THAT(mistakes_of("SELECT $x$ 1"), HasSubstr("a.sql:1: this quote has no end"));
    EXPECT_THAT(mistakes_of("--! check: a\nSELECT 1;--! check: a\nSELECT 2;"),
                HasSubstr("a.sql:3: there are two checks named 'a'"));
}

TEST(AssertionsTest, TruthIsJudgedOnEachMember)
{
    Assertion assertion{.name = "x"};
    auto checks = judge(assertion,
                        {{.member = "a", .value = "t"},
                         {.member = "b", .value = "f"},
                         {.member = "c", .value = {}},
                         {.member = "d", .error = "no table"}},
                        {});
    ASSERT_EQ(checks.size(), 4U);
    EXPECT_EQ(checks[0].result, CheckResult::passed);
    EXPECT_EQ(checks[1].text, "returned f, not true");
    EXPECT_EQ(checks[2].text, "returned NULL, not true");
    EXPECT_EQ(checks[3].text, "no table");
    for (std::size_t i = 1; i < checks.size(); ++i)
        EXPECT_EQ(checks[i].result, CheckResult::failed);
}

CheckResult result_of(Expect expect, const std::vector<Answer>& answers,
                      const std::optional<std::string>& before = {}, const char* total = "")
{
    auto checks = judge({.name = "x", .expect = expect, .total = total}, answers, before);
    EXPECT_EQ(checks.size(), 1U);
    EXPECT_EQ(checks[0].details.size(), answers.size());
    return checks[0].result;
}

TEST(AssertionsTest, ComparedAndSummedAcrossMembers)
{
    std::vector<Answer> same{{.member = "a", .value = "7"}, {.member = "b", .value = "7"}};
    std::vector<Answer> other{{.member = "a", .value = "7.5"}, {.member = "b", .value = "-8"}};
    std::vector<Answer> mute{{.member = "a", .value = "7"}, {.member = "b", .error = "gone"}};
    std::vector<Answer> words{{.member = "a", .value = "x"}, {.member = "b", .value = {}}};
    EXPECT_EQ(result_of(Expect::equal, same), CheckResult::passed);
    EXPECT_EQ(result_of(Expect::equal, other), CheckResult::failed);
    EXPECT_EQ(result_of(Expect::equal, mute), CheckResult::failed);
    EXPECT_EQ(result_of(Expect::sum, same, {}, "14"), CheckResult::passed);
    EXPECT_EQ(result_of(Expect::sum, other, {}, "-0.5"), CheckResult::passed);
    EXPECT_EQ(result_of(Expect::sum, other, {}, "0.5"), CheckResult::failed);
    EXPECT_EQ(result_of(Expect::sum, words, {}, "0"), CheckResult::failed);
    EXPECT_EQ(result_of(Expect::constant, same), CheckResult::passed);
    EXPECT_EQ(result_of(Expect::constant, same, "14"), CheckResult::passed);
    EXPECT_EQ(result_of(Expect::constant, same, "15"), CheckResult::failed);
}

TEST(AssertionsTest, SumsAreExact)
{
    EXPECT_EQ(exact_sum({"0.1", "0.2"}), "0.3");
    EXPECT_EQ(exact_sum({"-1", "+1.00"}), "0");
    EXPECT_EQ(exact_sum({"0.05"}), "0.05");
    EXPECT_EQ(exact_sum({"-12.5"}), "-12.5");
    EXPECT_EQ(exact_sum({"123456789012345678901234567890", "1"}), "123456789012345678901234567891");
    for (const char* bad :
         {"", ".", "1e5", "NaN", "1.2.3", "1234567890123456789012345678901234567"})
        EXPECT_FALSE(exact_sum({bad}).has_value()) << bad;
    EXPECT_FALSE(exact_sum({"100000000000000000000000000000000000", "0.01"}).has_value());
}

} // namespace
} // namespace tidemark::job
