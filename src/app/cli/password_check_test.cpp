#include "app/cli/password_check.h"

#include <gtest/gtest.h>

namespace tidemark::app {
namespace {

model::MemberSpec reached_by(std::string url)
{
    model::MemberSpec out;
    out.name = "orders";
    out.url = std::move(url);
    return out;
}

TEST(PasswordCheckTest, OnlyASecretIsOne)
{
    // The last ones cannot be opened: the configuration is refused for them, not for a password.
    for (const char* url :
         {"postgresql://tidemark@orders-db/postgres", "postgresql://h:5432/db?user=u@x",
          "postgresql://u:@h/db", "host=/x user=u passfile=/home/u/.pgpass", "service=orders",
          "host=h password=''", "garbage", "mysql://nobody", "host=/x dbname"}) {
        EXPECT_FALSE(password_check(reached_by(url))) << url;
        auto standby = reached_by("host=orders-db");
        standby.backup_from = url;
        EXPECT_FALSE(password_check(standby)) << url;
    }
}

TEST(PasswordCheckTest, ASecretIsToldWhereverItStands)
{
    for (const char* url :
         {"postgresql://u:canary@h/db", "postgresql://h/db?password=canary",
          "host=h password = 'can ary'", "postgresql://h/db?sslpassword=canary"}) {
        auto check = password_check(reached_by(url));
        ASSERT_TRUE(check) << url;
        EXPECT_EQ(check->name, "password");
        EXPECT_EQ(check->state, engine::CheckState::waiting);
        EXPECT_EQ(check->cause, "the url holds a password");
        EXPECT_EQ(check->fix.find("canary"), std::string::npos);

        auto second = reached_by("host=h");
        second.more_urls = {"host=i", url};
        EXPECT_TRUE(password_check(second)) << url;

        auto standby = reached_by("host=h");
        standby.backup_from = url;
        check = password_check(standby);
        ASSERT_TRUE(check) << url;
        EXPECT_EQ(check->cause, "backup_from holds a password");
    }
}

} // namespace
} // namespace tidemark::app
