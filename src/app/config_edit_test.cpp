#include "app/config_edit.h"

#include "app/config.h"
#include "base/error.h"
#include "base/plain_user_testing.h"
#include "base/temp_dir.h"

#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace tidemark::app {
namespace {

constexpr const char* kText = R"(# Ours. Ask Jim.
[repository.main]
url = "/backups"      # on the other disk

# The shop.
[group.shop]
full = "daily 02:00"  # when nobody buys
keep = { days = 7 }

# orders: the big one
[[group.shop.member]]
name = "orders"
url  = [
  "postgresql://a/postgres", # today's primary
  "postgresql://b/postgres",
]

[[group.shop.member]]
name = "billing"
url = "postgresql://c/postgres"

# Another matter.
[group.lab]
full = "off"
[[group.lab.member]]
name = "lab"
url = "postgresql://d/postgres"
)";

TEST(ConfigEdit, AMemberIsPutBehindTheLast)
{
    model::MemberSpec member{.name = "stock", .url = "postgresql://e/postgres", .data_dir = {}};
    auto edit = with_member(kText, "shop", member);
    auto config = parse_config(edit.after, "t");
    ASSERT_EQ(config.group("shop")->members.size(), 3U);
    EXPECT_EQ(config.group("shop")->members[2].name, "stock");
    EXPECT_EQ(config.group("shop")->members[0].more_urls.size(), 1U);
    std::string without = edit.after;
    auto at = without.find("\n" + edit.lines);
    ASSERT_NE(at, std::string::npos);
    without.erase(at, edit.lines.size() + 1);
    EXPECT_EQ(without, kText);
    EXPECT_NE(edit.after.find("\n\n# Another matter."), std::string::npos);
    // At the end of a file whose last line has no end.
    auto cut = std::string(kText);
    cut.pop_back();
    EXPECT_EQ(parse_config(with_member(cut, "lab", member).after, "t").group("lab")->members.size(),
              2U);
}

TEST(ConfigEdit, AddingAndTakingOutGivesTheSameFile)
{
    model::MemberSpec member{.name = "stock", .url = "postgresql://e/postgres", .data_dir = {}};
    member.more_urls = {"postgresql://f/postgres"};
    member.data_dir = "/data";
    member.gid_pattern = "regex:^(.*)_";
    member.backup_from = "postgresql://f/postgres";
    auto edit = with_member(kText, "shop", member);
    auto config = parse_config(edit.after, "t");
    const auto& made = config.group("shop")->members[2];
    EXPECT_EQ(made.more_urls, member.more_urls);
    EXPECT_EQ(made.data_dir, member.data_dir);
    EXPECT_EQ(made.gid_pattern, member.gid_pattern);
    EXPECT_EQ(made.backup_from, member.backup_from);
    EXPECT_EQ(without_member(edit.after, "shop", "stock").after, kText);
}

TEST(ConfigEdit, AMemberGoesWithTheCommentAboveIt)
{
    auto edit = without_member(kText, "shop", "orders");
    EXPECT_NE(edit.lines.find("# orders: the big one"), std::string::npos);
    EXPECT_NE(edit.lines.find("today's primary"), std::string::npos);
    auto config = parse_config(edit.after, "t");
    ASSERT_EQ(config.group("shop")->members.size(), 1U);
    for (const auto* kept : {"# Ours. Ask Jim.", "# The shop.", "# when nobody buys",
                             "# Another matter.", "on the other disk"})
        EXPECT_NE(edit.after.find(kept), std::string::npos) << kept;
    EXPECT_EQ(edit.after.find("big one"), std::string::npos);
}

TEST(ConfigEdit, TheLastMemberTakesItsGroupAlong)
{
    auto edit = without_member(kText, "lab", "lab");
    auto config = parse_config(edit.after, "t");
    EXPECT_EQ(config.group("lab"), nullptr);
    EXPECT_EQ(config.group("shop")->members.size(), 2U);
    auto shop = without_group(kText, "shop");
    auto rest = parse_config(shop.after, "t");
    EXPECT_EQ(rest.group("shop"), nullptr);
    ASSERT_NE(rest.group("lab"), nullptr);
    EXPECT_NE(shop.after.find("# Another matter.\n[group.lab]"), std::string::npos) << shop.after;
}

TEST(ConfigEdit, WhatAProgramCannotChangeIsLeftToAPerson)
{
    constexpr const char* kInline = R"([repository.main]
url = "/backups"
[group.shop]
member = [ { name = "a", url = "postgresql://a/x" }, { name = "b", url = "postgresql://b/x" } ]
)";
    try {
        with_member(kInline, "shop", {.name = "c", .url = "postgresql://c/x", .data_dir = {}});
        FAIL() << "no error";
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::usage);
        EXPECT_NE(error.hint().find("[[group.shop.member]]"), std::string::npos);
    }
    EXPECT_THROW(without_member(kInline, "shop", "a"), base::Error);
}

TEST(ConfigEdit, AFileThatCouldNotBeGivenBackIsRefusedBeforehand)
{
    if (::geteuid() != 0) GTEST_SKIP() << "needs a file of another user";
    base::TempDir dir;
    const auto file = dir.path() / "tidemark.toml";
    std::ofstream(file) << kText;
    ASSERT_EQ(::chmod(dir.path().c_str(), 0777), 0);
    require_editable(file);
    base::PlainRights plain;
    try {
        require_editable(file);
        ADD_FAILURE();
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::usage);
        EXPECT_NE(error.message().find("belongs to another user"), std::string::npos)
            << error.what();
    }
}

} // namespace
} // namespace tidemark::app
