#include "model/gid_preset.h"

#include "model/gid_pattern.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace tidemark::model {
namespace {

const std::string kLongest(84, 'A');

std::string long_part(char last)
{
    return kLongest + "AA" + last + "=";
}

TEST(GidPresetTest, PsycopgAsItWrites)
{
    // xid(42, "order-7", "orders").__str__ of psycopg2 2.9.
    EXPECT_EQ(psycopg_global_id("42_b3JkZXItNw==_b3JkZXJz"), "42_b3JkZXItNw==");
    EXPECT_EQ(psycopg_global_id("42_b3JkZXItNw==_c3RvY2s="), "42_b3JkZXItNw==");
    EXPECT_EQ(psycopg_global_id("0_YQ==_"), "0_YQ==") << "an empty branch qualifier";
    EXPECT_EQ(psycopg_global_id("2147483647_YQ==_YQ=="), "2147483647_YQ==");
    EXPECT_EQ(psycopg_global_id("1_" + kLongest + "_YQ=="), "1_" + kLongest);
}

TEST(GidPresetTest, PgjdbcAsItWrites)
{
    EXPECT_EQ(pgjdbc_global_id("131077_MS03ZjAwMDEwMToxOjE=_LTdmMDAwMTAxOjE6Mg=="),
              "131077_MS03ZjAwMDEwMToxOjE=");
    EXPECT_EQ(pgjdbc_global_id("-2147483648_+/+/_AA=="), "-2147483648_+/+/");
    EXPECT_EQ(psycopg_global_id("-1_YQ==_YQ=="), std::nullopt) << "psycopg knows no such format";
}

TEST(GidPresetTest, HostileGidsStandAlone)
{
    for (const std::string& gid : {std::string(),
                                   std::string("_"),
                                   std::string("__"),
                                   std::string("1__"),
                                   std::string("1__YQ=="),
                                   std::string("_YQ==_YQ=="),
                                   std::string("1_YQ=="),
                                   std::string("order-7"),
                                   std::string("1_YQ==_YQ==_"),
                                   std::string("1_YQ==_YQ==_YQ=="),
                                   std::string("01_YQ==_YQ=="),
                                   std::string("+1_YQ==_YQ=="),
                                   std::string("-0_YQ==_YQ=="),
                                   std::string(" 1_YQ==_YQ=="),
                                   std::string("1_YQ==_YQ== "),
                                   std::string("2147483648_YQ==_YQ=="),
                                   std::string("99999999999999999999_YQ==_YQ=="),
                                   std::string("1_YQ_YQ=="),
                                   std::string("1_YQ=_YQ=="),
                                   std::string("1_Y===_YQ=="),
                                   std::string("1_====_YQ=="),
                                   std::string("1_YR==_YQ=="), // spare bits: "a" again
                                   std::string("1_YWJ=_YQ=="),
                                   std::string("1_Y=Q=_YQ=="),
                                   std::string("1_YQ==_Y"),
                                   std::string("1_YQ-=_YQ=="),
                                   std::string("1_YQ==\n_YQ=="),
                                   std::string("1_Y\0==_YQ==", 11),
                                   "1_" + long_part('A') + "AAAA_YQ==",
                                   "1_YQ==_" + kLongest + "AAAAAAAA",
                                   std::string("x_YQ==_YQ=="),
                                   std::string("1_\xC3\xA4==_YQ==")}) {
        EXPECT_EQ(psycopg_global_id(gid), std::nullopt) << gid;
        EXPECT_EQ(pgjdbc_global_id(gid), std::nullopt) << gid;
    }
}

TEST(GidPresetTest, CitusAsItWrites)
{
    EXPECT_EQ(citus_global_id("citus_0_4711_12_0"), "citus_0_4711_12");
    EXPECT_EQ(citus_global_id("citus_0_4711_12_17"), "citus_0_4711_12");
    EXPECT_EQ(citus_global_id("citus_3_1_18446744073709551615_4294967295"),
              "citus_3_1_18446744073709551615");
    for (const char* gid :
         {"", "citus_", "citus_0_4711_12", "citus_0_4711_12_", "citus_0_4711__1",
          "citus_0_4711_12_1_2", "citus_0_4711_12_1_", "citus_00_4711_12_1", "citus_-1_4711_12_1",
          "citus_0_4294967296_12_1", "citus_0_4711_18446744073709551616_1", "Citus_0_4711_12_1",
          " citus_0_4711_12_1", "citus_0_4711_12_x", "citus_0_4711_12_1 "})
        EXPECT_EQ(citus_global_id(gid), std::nullopt) << gid;
}

RC_GTEST_PROP(GidPresetTest, WhatMatchesIsAPrefixAndNothingThrows, (const std::string& gid))
{
    for (auto name : gid_preset_names()) {
        auto id = gid_preset(name)(gid);
        RC_ASSERT(!id || (gid.starts_with(*id) && id->size() < gid.size()));
    }
}

TEST(GidPresetTest, PatternsHaveTheirNames)
{
    for (auto name : gid_preset_names()) {
        auto pattern = GidPattern::parse(name);
        EXPECT_EQ(pattern.text(), name);
        EXPECT_FALSE(pattern.identical());
        EXPECT_EQ(pattern.global_id("order-7"), std::nullopt);
        EXPECT_EQ(pattern.global_id(std::string(5'000'000, '1')), std::nullopt);
    }
    EXPECT_EQ(GidPattern::parse("psycopg").global_id("1_YQ==_YQ=="), "1_YQ==");
    EXPECT_EQ(gid_preset("Psycopg"), nullptr);
}

} // namespace
} // namespace tidemark::model
