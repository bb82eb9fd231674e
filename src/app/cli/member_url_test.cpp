#include "app/cli/member_url.h"

#include "base/error.h"
#include "base/host.h"

#include <gtest/gtest.h>

namespace tidemark::app {
namespace {

TEST(MemberUrlTest, NamesComeFromTheArgumentOrTheHost)
{
    auto members = members_of_urls(
        {"orders=postgresql://t@db1/postgres",
         "postgresql://t:x@billing-db.example.net:5433/postgres", "host=/run/pg dbname=postgres",
         "postgres://t@billing-db/postgres", "audit=host=/run/audit port=5433"});
    ASSERT_EQ(members.size(), 5U);
    EXPECT_EQ(members[0].name, "orders");
    EXPECT_EQ(members[0].url, "postgresql://t@db1/postgres");
    EXPECT_EQ(members[1].name, "billing-db");
    EXPECT_EQ(members[2].name, "m3");
    EXPECT_EQ(members[3].name, "billing-db-2");
    EXPECT_EQ(members[4].name, "audit");
    EXPECT_EQ(members[4].url, "host=/run/audit port=5433");
}

TEST(MemberUrlTest, HostsAsASheetNamesThem)
{
    EXPECT_EQ(host_of_url("postgresql://u:p@db1.example:5433/postgres?sslmode=require"),
              "db1.example");
    EXPECT_EQ(host_of_url("postgresql://db1:5432,db2/postgres"), "db1, db2");
    EXPECT_EQ(host_of_url("postgresql://u@[2001:db8::1]:5432/"), "[2001:db8::1]");
    EXPECT_EQ(host_of_url("host=db3 port=5432 dbname=x"), "db3");
    for (const char* here :
         {"host=/run/postgresql", "postgresql:///x?host=/tmp", "postgresql://%2Frun/x", "dbname=x",
          "postgresql://localhost:1/", "postgresql://127.0.0.1/", "postgresql://127.0.1.1:5433/",
          "postgresql://u@[::1]:5432/", "host=@tidemark", "postgresql://%40tidemark/x"})
        EXPECT_EQ(host_of_url(here), "") << here;
    EXPECT_EQ(host_of_url("host=127.0.0.1,db3"), "db3");
    auto ours = base::host_name();
    EXPECT_EQ(host_of_url("host=" + ours), ours == "localhost" ? "" : ours) << "a name for paper";
}

TEST(MemberUrlTest, NonsenseIsRefused)
{
    EXPECT_THROW(members_of_urls({"orders"}), base::Error);
    EXPECT_THROW(members_of_urls({"Orders=postgresql://x/"}), base::Error);
    EXPECT_THROW(members_of_urls({"a=postgresql://x/", "a=postgresql://y/"}), base::Error);
}

} // namespace
} // namespace tidemark::app
