#include "engine/postgres/redact.h"

#include <gtest/gtest.h>

namespace tidemark::engine::postgres {
namespace {

TEST(Redact, LeavesUrlsWithoutSecretsAlone)
{
    for (const char* url :
         {"postgresql://tidemark@orders-db/postgres?sslmode=verify-full", "postgresql:///postgres",
          "postgres://u@[::1]:5432/db", "host=/tmp/s port=5433 user=tidemark",
          "host='/tmp/a b' dbname=x", "postgresql://host:5432/db", ""})
        EXPECT_EQ(redact_url(url), url);
}

TEST(Redact, HidesPasswordsOfEveryForm)
{
    EXPECT_EQ(redact_url("postgresql://u:canary@h/db"), "postgresql://u:***@h/db");
    EXPECT_EQ(redact_url("postgresql://h/db?password=canary&sslmode=require"),
              "postgresql://h/db?password=***&sslmode=require");
    EXPECT_EQ(redact_url("host=h password=canary dbname=x"), "host=h password=*** dbname=x");
    EXPECT_EQ(redact_url("password = 'can ary\\'s' host=h"), "password=*** host=h");
    EXPECT_EQ(redact_url("host=h sslpassword=canary"), "host=h sslpassword=***");
}

TEST(Redact, NeverShowsASecretInMalformedUrls)
{
    for (const char* url : {"postgresql://u:can@ary@h/db", "postgresql://u:canary/canary@h/db",
                            "postgresql://u:ca?canary@h/db", "postgresql://h/db?pass%77ord=canary",
                            "postgres://:canary@h", "password='canary", "host=h password=x canary",
                            "PASSWORD=canary host=h", "postgresql://u@h/db?sslpassword=canary",
                            "host=h oauth_client_secret=canary", "password=\\'canary x=y"}) {
        EXPECT_EQ(redact_url(url).find("canary"), std::string::npos) << redact_url(url);
        EXPECT_EQ(url_defect(url).find("canary"), std::string::npos);
    }
    EXPECT_EQ(redact_url("postgresql://u:ary@can@h/db").find("can"), std::string::npos);
}

TEST(Redact, FindsPasswordsThatNobodyEncoded)
{
    EXPECT_NE(url_defect("postgresql://u:p@ss@h/db"), "");
    EXPECT_NE(url_defect("postgresql://u:p/ss@h/db"), "");
    EXPECT_EQ(url_defect("postgresql://u:p%40ss@h/db"), "");
    EXPECT_EQ(url_defect("postgresql://h/db?user=u@x"), "");
    EXPECT_EQ(url_defect("host=h password=p@s@s"), "");
}

TEST(Redact, ScrubsAKnownSecretFromText)
{
    EXPECT_EQ(scrub("no host \"canary@h\": canary", "canary"), "no host \"***@h\": ***");
    EXPECT_EQ(scrub("as is", ""), "as is");
}

} // namespace
} // namespace tidemark::engine::postgres
