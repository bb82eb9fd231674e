#include "model/ids.h"

#include "base/error.h"

#include <gtest/gtest.h>

namespace tidemark::model {
namespace {

TEST(IdsTest, NamesOfGroupsAndMembers)
{
    for (const char* good : {"a", "0", "orders", "orders-2", "a_b", "9lives"}) {
        EXPECT_TRUE(is_valid_name(good)) << good;
    }
    EXPECT_TRUE(is_valid_name(std::string(63, 'x')));
    for (const char* bad : {"", "-a", "_a", "A", "a.b", "a/b", "..", "a b", "\xc3\xa4"}) {
        EXPECT_FALSE(is_valid_name(bad)) << bad;
    }
    EXPECT_FALSE(is_valid_name(std::string(64, 'x')));
    EXPECT_FALSE(is_valid_name(std::string_view("a\0b", 3)));
}

TEST(IdsTest, WrongNameSaysWhatIsWrong)
{
    try {
        checked_name("member", "Orders");
        FAIL();
    } catch (const base::Error& error) {
        EXPECT_EQ(error.code(), base::Code::usage);
        EXPECT_NE(error.message().find("Orders"), std::string::npos);
        EXPECT_NE(error.message().find("member"), std::string::npos);
    }
}

TEST(IdsTest, ANameOfAnyBytesIsRefusedAndShown)
{
    // fmt 9 ends the program over "{:?}" of bytes that are no UTF-8.
    std::string wild = "a\xff\xf7\n" + std::string(40, '\xff');
    for (auto check : {+[](const std::string& name) { checked_name("group", name); },
                       +[](const std::string& name) { checked_mark_name(name); },
                       +[](const std::string& name) { restore_point_name("", name, "1"); }}) {
        try {
            check(wild);
            ADD_FAILURE() << "not refused";
        } catch (const base::Error& error) {
            EXPECT_NE(error.message().find("a\\xff\\xf7\\n"), std::string::npos);
        }
    }
}

TEST(IdsTest, MarkNames)
{
    EXPECT_EQ(checked_mark_name("Before-Release_2.0/x"), "Before-Release_2.0/x");
    for (const char* bad :
         {"", "a b", "a'b", "a\"b", "a\\b", "a\tb", "\xc3\xa4", "a\x7f", "-", "--plan"}) {
        EXPECT_THROW(checked_mark_name(bad), base::Error) << bad;
    }
    EXPECT_FALSE(is_valid_mark_name(std::string(64, 'x')));
}

// rule 9
TEST(IdsTest, RestorePointNamesAreNeverCut)
{
    EXPECT_EQ(restore_point_name("tm-", "nightly", "17"), "tm-nightly.17");
    EXPECT_EQ(restore_point_name("", std::string(60, 'x'), "17").size(), 63U);
    EXPECT_EQ(restore_point_name("-", "m", "1"), "-m.1"); // a prefix may
    EXPECT_THROW(restore_point_name("", std::string(61, 'x'), "17"), base::Error);
}

} // namespace
} // namespace tidemark::model
