#include "engine/postgres/access_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::engine::postgres {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> included_by(std::string_view rule)
{
    std::vector<std::string> out;
    for (const auto& found : rule_includes(rule))
        out.push_back(found.word + found.include.path + "|" +
                      std::string(rule.substr(found.at, found.length)));
    return out;
}

// What PostgreSQL 15 makes of each was looked at in pg_hba_file_rules.
TEST(AccessRulesTest, FilesAreFoundWhereTheServerFindsThem)
{
    EXPECT_THAT(included_by("local @dbs all trust"), ElementsAre("@dbs|dbs"));
    EXPECT_THAT(included_by("local @\"o dir/dbs\" all trust"),
                ElementsAre("@o dir/dbs|\"o dir/dbs\""));
    EXPECT_THAT(included_by("local all x,@one, @\"t\"wo trust # @three"),
                ElementsAre("@one|one", "@two|\"t\"wo"));
    EXPECT_THAT(included_by("local @'dbs' all trust"), ElementsAre("@'dbs'|'dbs'"))
        << "single quotes quote nothing";
    EXPECT_THAT(included_by("local all \"@literal\",\"a\"\"b @x\" trust"), IsEmpty());
    EXPECT_THAT(included_by("local @ all trust"), IsEmpty());
    EXPECT_THAT(included_by("# local @dbs all trust"), IsEmpty());
    EXPECT_THAT(included_by("local \\\n @dbs all trust"), ElementsAre("@dbs|dbs"));
}

TEST(AccessRulesTest, DirectivesHaveOneFile)
{
    EXPECT_THAT(included_by("include more.hba"), ElementsAre("include more.hba|more.hba"));
    EXPECT_THAT(included_by("include_if_exists \"a b\" # r"),
                ElementsAre("include_if_exists a b|\"a b\""));
    EXPECT_THAT(included_by("include_dir rules.d"), ElementsAre("include_dir rules.d|rules.d"));
    EXPECT_EQ(rule_includes("include_dir rules.d").at(0).include.kind, Include::Kind::directory);
    EXPECT_THAT(included_by("include a b"), IsEmpty());
    EXPECT_THAT(included_by("Include a"), IsEmpty());
}

TEST(AccessRulesTest, OnlyThePathChanges)
{
    auto out = edit_rules("host @dbs \"app\" 10.0.0.0/8 ldap ldapbindpasswd=hunter2 # @dbs\n"
                          "include more\ninclude same\n",
                          {{"dbs", "/new/d \"b\""}, {"more", "/new/more"}, {"same", "same"}},
                          RulesOf::access);
    EXPECT_EQ(out.text, "host @\"/new/d \"\"b\"\"\" \"app\" 10.0.0.0/8 ldap "
                        "ldapbindpasswd=hunter2 # @dbs\n"
                        "include \"/new/more\"\ninclude same\n");
    EXPECT_THAT(out.changed, ElementsAre("@dbs -> @\"/new/d \"\"b\"\"\"",
                                         "include more -> include \"/new/more\""));
}

/// A server does not start with a rule that names a file it lacks; whom the rule was for must not
/// meet a laxer one below it.
TEST(AccessRulesTest, WithoutItsFileARuleLetsNobodyInAndRejectsAll)
{
    auto out = edit_rules("local @gone all trust\nlocal all x,@gone reject\ninclude gone\n"
                          "host @here \\\n@gone all md5\n",
                          {{"gone", std::nullopt}, {"here", "/new"}}, RulesOf::access);
    EXPECT_EQ(out.text, "local all,replication all reject\n#local @gone all trust\n"
                        "local all x,all reject\n"
                        "local all,replication all reject\nhost all,replication all all reject\n"
                        "#include gone\n"
                        "host @\"/new\" \\\nall all reject\n#host @here \\\n@gone all md5\n");
    const std::string rejects = "a rule with @gone -> rejects all whom it may have been for: the "
                                "backup lacks it or a part of it";
    EXPECT_THAT(
        out.changed,
        ElementsAre(rejects,
                    "@gone -> all, in a rule that rejects: the backup lacks it or a part of it",
                    "include gone -> all are rejected here: the backup holds nothing of it",
                    "@here -> @\"/new\"", rejects));
}

TEST(AccessRulesTest, OnlyWhomTheRuleWasForAreRejected)
{
    auto rejected = [](const std::string& rule) {
        auto out = edit_rules(rule, {{"gone", std::nullopt}}, RulesOf::access).text;
        EXPECT_TRUE(out.ends_with("\n#" + rule + "\n")) << out;
        return out.substr(0, out.find("\n#"));
    };
    EXPECT_EQ(rejected("host a @gone 10.0.0.0 255.0.0.0 ldap ldapbindpasswd=hunter2"),
              "host a all 10.0.0.0 255.0.0.0 reject");
    EXPECT_EQ(rejected("hostssl a @gone fe80:: ffff:: cert"), "hostssl a all fe80:: ffff:: reject");
    EXPECT_EQ(rejected("hostssl a @gone db.example.com scram-sha-256 clientcert=verify-ca"),
              "hostssl a all db.example.com reject");
    const std::string everybody =
        "local all,replication all reject\nhost all,replication all all reject";
    EXPECT_EQ(rejected("host @gone"), everybody);
    EXPECT_EQ(rejected("include_dir gone"), everybody);
    auto maybe = edit_rules("include_if_exists gone\n", {{"gone", std::nullopt}}, RulesOf::access);
    EXPECT_EQ(maybe.text, "#include_if_exists gone\n");
}

TEST(AccessRulesTest, NamesWithoutTheirFileAreFewer)
{
    auto out = edit_rules("ann, @gone\ninclude gone\nlocal ann @gone\n", {{"gone", std::nullopt}},
                          RulesOf::names);
    EXPECT_EQ(out.text, "#ann, @gone\n#include gone\n#local ann @gone\n");
    EXPECT_THAT(out.changed,
                ElementsAre("a rule with @gone -> a remark: the backup holds nothing of it",
                            "include gone -> a remark: the backup holds nothing of it",
                            "a rule with @gone -> a remark: the backup holds nothing of it"));
}

} // namespace
} // namespace tidemark::engine::postgres
