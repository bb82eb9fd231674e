#include "app/config.h"

#include "base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>

namespace tidemark::app {
namespace {

using testing::HasSubstr;

constexpr const char* kGood = R"(
[repository.main]
url = "/var/backups/tidemark"
compression = "zstd:5"

[group.shop]
mark = { every = "5m", wait = "2s", prefix = "shop" }
keep = { days = 30, weekly = 4 }
rate = "50M"
incr = "daily 03:00"
objective = { lose_at_most = "30m", restore_within = "1h" }

[[group.shop.member]]
name = "orders"
url = "postgresql://tidemark@orders-db/postgres"
data_dir = "/var/lib/postgresql/15/main"
gid_pattern = "pgjdbc"
decision = "public.outcome.gid"

[[group.shop.member]]
name = "billing"
url = "host=billing-db user=tidemark"
gid_pattern = "regex:^(.*)_[0-9]+$"
)";

std::string mistakes_of(const std::string& text)
{
    try {
        parse_config(text, "t.toml");
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::usage);
        return error.message();
    }
    return "";
}

TEST(ConfigTest, CompressionMayBeNoneOrALevel)
{
    for (const auto& [said, level] :
         std::map<std::string, int>{{"none", 0}, {"zstd", 2}, {"zstd:-5", -5}, {"zstd:19", 19}}) {
        auto config = parse_config("[repository.main]\nurl = \"/r\"\ncompression = \"" + said +
                                       "\"\n[group.shop]\n[[group.shop.member]]\n"
                                       "name = \"a\"\nurl = \"host=a\"\n",
                                   "t.toml");
        EXPECT_EQ(config.repository("main")->compression_level, level) << said;
    }
}

TEST(ConfigTest, NumbersThatAreNoneSayWhatMayStandThere)
{
    auto with = [](const std::string& repository, const std::string& group) {
        return "[repository.main]\nurl = \"/r\"\n" + repository + "\n[group.shop]\n" + group +
               "\n[[group.shop.member]]\nname = \"a\"\nurl = \"host=a\"\n";
    };
    EXPECT_THAT(mistakes_of(with("compression = \"zstd:0\"", "")),
                HasSubstr("t.toml:3: repository.main.compression must be \"none\" or "
                          "\"zstd:LEVEL\" with -5 to 19, not 0"));
    // The first was taken, the second meant no limit at all.
    for (const char* rate : {"20000000000G", "17179869184G", "1025G", "1099511627777",
                             "18446744073709551616", "-1", "5T", "G"})
        EXPECT_THAT(mistakes_of(with("", "rate = \"" + std::string(rate) + "\"")),
                    HasSubstr("t.toml:5: group.shop.rate must be bytes per second"))
            << rate;
    for (const auto& [said, rate] : std::map<std::string, std::uint64_t>{
             {"0", 0}, {"7", 7}, {"3k", 3072}, {"1024G", 1ULL << 40}, {"1048576M", 1ULL << 40}})
        EXPECT_EQ(parse_config(with("", "rate = \"" + said + "\""), "t.toml")
                      .group("shop")
                      ->bytes_per_second,
                  rate)
            << said;
    EXPECT_THAT(mistakes_of(with("", "mark.wait = \"1000000000d\"")),
                HasSubstr("t.toml:5: group.shop.mark.wait must be a duration"));
}

TEST(ConfigTest, ReadsEveryKey)
{
    Config config = parse_config(kGood, "t.toml");
    ASSERT_NE(config.repository("main"), nullptr);
    EXPECT_EQ(config.repository("main")->compression_level, 5);
    const auto* shop = config.group("shop");
    ASSERT_NE(shop, nullptr);
    ASSERT_EQ(shop->members.size(), 2U);
    EXPECT_EQ(shop->mark_wait, std::chrono::seconds{2});
    EXPECT_EQ(shop->bytes_per_second, 50U << 20);
    EXPECT_EQ(shop->objective.lose_at_most, std::chrono::minutes{30});
    EXPECT_EQ(shop->objective.restore_within, std::chrono::hours{1});
    EXPECT_FALSE(shop->objective.drill_every.has_value());
    EXPECT_EQ(shop->members[0].data_dir, "/var/lib/postgresql/15/main");
    EXPECT_EQ(shop->members[0].gid_pattern, "pgjdbc");
    EXPECT_EQ(shop->members[0].decision, "public.outcome.gid");
    EXPECT_EQ(shop->members[1].decision, "");
    EXPECT_EQ(shop->members[1].gid_pattern, "regex:^(.*)_[0-9]+$");
    EXPECT_THAT(config.inactive,
                testing::UnorderedElementsAre("group.shop.incr", "group.shop.keep.weekly"));
}

TEST(ConfigTest, ReadsWhatTheScheduledJobNeeds)
{
    auto group = [](const std::string& keys) {
        return "[repository.main]\nurl = \"/x\"\n[group.shop]\n" + keys +
               "\n[[group.shop.member]]\nname = \"a\"\nurl = \"postgresql:///\"\n";
    };
    auto config = parse_config(group(R"(full = "weekly Fri 03:15"
zone = "Europe/Berlin"
log_guard = { warn = "40%", drop = "never" }
on_failure = ["/bin/tell", "ops"])"),
                               "t.toml");
    const auto* shop = config.group("shop");
    ASSERT_NE(shop, nullptr);
    EXPECT_EQ(shop->full, model::parse_schedule("weekly Fri 03:15"));
    EXPECT_EQ(shop->zone, "Europe/Berlin");
    EXPECT_DOUBLE_EQ(shop->log_guard.warn, 0.4);
    EXPECT_FALSE(shop->log_guard.drop.has_value());
    EXPECT_EQ(shop->on_failure, (std::vector<std::string>{"/bin/tell", "ops"}));
    EXPECT_TRUE(config.inactive.empty());

    auto text = mistakes_of(group(R"(full = "dayly"
zone = "Mars/Olympus"
log_guard = { warn = "0%", drop = "sometimes" }
on_failure = "rm -rf /")"));
    for (const auto* part : {"t.toml:4: group.shop.full must be",
                             "t.toml:5: group.shop.zone is not usable: there is no time zone",
                             "t.toml:6: group.shop.log_guard.warn must be a share",
                             "t.toml:6: group.shop.log_guard.drop must be a share",
                             "t.toml:7: group.shop.on_failure must be an array"})
        EXPECT_THAT(text, HasSubstr(part));
}

TEST(ConfigTest, AnObjectiveIsMadeOfDurations)
{
    std::string text = mistakes_of(R"([repository.main]
url = "/x"
[group.shop]
objective = { lose_at_most = "soon", restore_in = "1h" }
[[group.shop.member]]
name = "a"
url = "host=a"
)");
    EXPECT_THAT(text, HasSubstr("t.toml:4: group.shop.objective.lose_at_most must be a duration"));
    EXPECT_THAT(text, HasSubstr("did you mean restore_within?"));
}

TEST(ConfigTest, AllMistakesAtOnceWithLineNumbers)
{
    std::string text = mistakes_of(R"([repository.main]
urll = "/x"
[group.Shop]
mark = { evry = "5m", wait = "soon" }
[[group.Shop.member]]
name = "a b"
url = 7
gid_pattern = "regex:no-capture"
decision = "outcome.gid"
[[group.Shop.member]]
name = "b"
url = "host=x"
gid_pattern = "jdbc"
)");
    EXPECT_THAT(text, HasSubstr("t.toml:2: unknown key repository.main.urll (did you mean url?)"));
    EXPECT_THAT(text, HasSubstr("t.toml:1: repository.main needs a url"));
    EXPECT_THAT(text, HasSubstr("t.toml:3: group name 'Shop'"));
    EXPECT_THAT(text,
                HasSubstr("t.toml:4: unknown key group.Shop.mark.evry (did you mean every?)"));
    EXPECT_THAT(text, HasSubstr("t.toml:4: group.Shop.mark.wait must be a duration"));
    EXPECT_THAT(text, HasSubstr("t.toml:6: group.Shop.member.name 'a b' must match"));
    EXPECT_THAT(text, HasSubstr("t.toml:7: group.Shop.member.url must be a text"));
    EXPECT_THAT(text, HasSubstr("t.toml:8: group.Shop.member.gid_pattern is refused: gid_pattern "
                                "\"regex:no-capture\": has 0 captures, and must have one"));
    EXPECT_THAT(text, HasSubstr("t.toml:9: group.Shop.member.decision must be"));
    EXPECT_THAT(text, HasSubstr("t.toml:13: group.Shop.member.gid_pattern is refused: gid_pattern "
                                "\"jdbc\": none of \"identical\", \"psycopg\""));
}

// Otherwise the first mark says so, at the end of the first backup.
TEST(ConfigTest, APatternThatNoMarkCanUseIsAMistake)
{
    for (const char* pattern : {"regex:(a)\\\\1", "regex:(a|", "regexp:(.*)", "regex:"}) {
        auto text = mistakes_of("[repository.main]\nurl = \"/x\"\n[group.g]\n"
                                "[[group.g.member]]\nname = \"a\"\nurl = \"host=a\"\n"
                                "gid_pattern = \"" +
                                std::string(pattern) + "\"\n");
        EXPECT_THAT(text, HasSubstr("t.toml:7: group.g.member.gid_pattern is refused")) << pattern;
    }
}

TEST(ConfigTest, SyntaxErrorNamesItsLine)
{
    EXPECT_THAT(mistakes_of("[repository.main]\nurl = \n"), HasSubstr("t.toml:2"));
}

TEST(ConfigTest, AFileThatCannotBeReadSaysWhy)
{
    try {
        load_config("/proc/self/no-such-file");
        ADD_FAILURE() << "it was read";
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::usage);
        EXPECT_NE(std::string(error.what()).find("No such file or directory"), std::string::npos)
            << error.what();
    }
}

TEST(ConfigTest, GroupWithoutItsRepositoryIsRefused)
{
    EXPECT_THAT(mistakes_of("[group.g]\n[[group.g.member]]\nname=\"a\"\nurl=\"host=x\"\n"),
                HasSubstr("t.toml:1: group.g needs [repository.main]"));
    auto text = mistakes_of("[repository.main]\nurl = \"/x\"\n[group.g]\nzoo = 1\n"
                            "repository = \"other\"\n[[group.g.member]]\nname = \"a\"\n"
                            "url = \"host=x\"\n");
    EXPECT_THAT(text, HasSubstr("t.toml:4: unknown key group.g.zoo"));
    EXPECT_THAT(text, HasSubstr("t.toml:5: group.g needs [repository.other]"));
}

TEST(ConfigTest, UrlsThatNothingCanBeOpenedWithAreMistakes)
{
    auto text = mistakes_of(R"([repository.main]
url = "s3://bucket/x"
[group.g]
[[group.g.member]]
name = "a"
url = "mysql://me:sesame@host/x"
[[group.g.member]]
name = "b"
url = ["postgres://b/x", "sesame"]
)");
    EXPECT_THAT(text, HasSubstr("t.toml:2: repository.main.url names a repository at s3://"));
    EXPECT_THAT(text, HasSubstr("t.toml:6: group.g.member.url names a server at mysql://"));
    EXPECT_THAT(text, HasSubstr("t.toml:9: group.g.member.url is no connection string"));
    EXPECT_THAT(text, testing::Not(HasSubstr("sesame")));
    text = mistakes_of(R"([repository.main]
url = "/x"
[group.g]
[[group.g.member]]
name = "m0"
url = "host=/x dbname password=sesame"
backup_from = "mysql://nobody"
[[group.g.member]]
name = "m1"
url = "postgresql://h:99999999/db?nonsense=sesame"
backup_from = "garbage"
[[group.g.member]]
name = "m2"
url = ["host=h", "host=a,b port=5432,65536"]
backup_from = "postgresql://u:p@sesame@h/db"
)");
    EXPECT_THAT(text, HasSubstr("t.toml:6: group.g.member.url cannot be read as a connection"));
    EXPECT_THAT(text, HasSubstr("t.toml:7: group.g.member.backup_from names a server at mysql://"));
    EXPECT_THAT(text, HasSubstr("t.toml:10: group.g.member.url cannot be read as a connection"));
    EXPECT_THAT(text, HasSubstr("t.toml:11: group.g.member.backup_from is no connection string"));
    EXPECT_THAT(text, HasSubstr("t.toml:14: group.g.member.url names a port that is none"));
    EXPECT_THAT(text, HasSubstr("t.toml:15: group.g.member.backup_from cannot be right: it holds "
                                "more than one '@'"));
    EXPECT_THAT(text, testing::Not(HasSubstr("sesame")));
    for (const char* good :
         {"postgresql://a/b?options=-csearch_path%3Dx", "postgres:///", "sslmode=require host=a",
          "service=x", "host = 'a' user=b", "postgresql://a:1,b:65535,c/x", "host=a port=' 5432 '"})
        EXPECT_EQ(mistakes_of("[repository.main]\nurl = \"file:///x\"\n[group.g]\n"
                              "[[group.g.member]]\nname = \"a\"\nurl = \"" +
                              std::string(good) + "\"\n"),
                  "");
}

TEST(ConfigTest, AnEmptyFileAndAFolderSaySo)
{
    for (const char* text : {"", "# nothing\n"})
        EXPECT_THAT(mistakes_of(text), HasSubstr("t.toml:1: nothing is configured"));
    // What a group that left leaves behind.
    EXPECT_EQ(mistakes_of("[repository.main]\nurl = \"/x\"\n"), "");
    try {
        load_config("/tmp");
        ADD_FAILURE() << "a folder was read";
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::usage);
        EXPECT_EQ(error.message(), "/tmp is a folder, not a configuration file");
    }
}

TEST(ConfigTest, WhatInitWritesCanBeRead)
{
    Config good = parse_config(kGood, "t.toml");
    Config again = parse_config(render_config(good.repositories[0], good.groups[0]), "t.toml");
    EXPECT_EQ(again.groups[0].members[1].url, good.groups[0].members[1].url);
    EXPECT_EQ(again.groups[0].members[1].gid_pattern, good.groups[0].members[1].gid_pattern);
    EXPECT_EQ(again.groups[0].members[0].decision, "public.outcome.gid");
    EXPECT_EQ(again.groups[0].keep_days, 30);
}

} // namespace
} // namespace tidemark::app
