#include "repo/json.h"

#include "base/error_testing.h"
#include "repo/base64.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace tidemark::repo {
namespace {

using base::Code;
using base::Error;
using base::error_of;
using ::testing::HasSubstr;

JsonDocument parse(std::string_view text)
{
    return JsonDocument::parse(base::as_bytes(text), "groups/shop/marks/0000000007");
}

TEST(Base64, KnownValues)
{
    EXPECT_EQ(to_base64(base::as_bytes("")), "");
    EXPECT_EQ(to_base64(base::as_bytes("f")), "Zg==");
    EXPECT_EQ(to_base64(base::as_bytes("fo")), "Zm8=");
    EXPECT_EQ(to_base64(base::as_bytes("foobar")), "Zm9vYmFy");
    EXPECT_EQ(from_base64("Zm9vYg=="), base::to_bytes("foob"));
}

TEST(Base64, RefusesWhatIsNotCanonical)
{
    for (const char* text :
         {"Zg=", "Zg", "Z===", "====", "Zh==", "Zm9=", "Zg==Zg==", "Z g=", "Zm9v\n"})
        EXPECT_FALSE(from_base64(text)) << text;
}

TEST(Base64, RoundTrip)
{
    EXPECT_TRUE(rc::check("any bytes", [](const std::string& text) {
        auto back = from_base64(to_base64(base::as_bytes(text)));
        RC_ASSERT(back.has_value());
        RC_ASSERT(base::as_text(*back) == text);
    }));
}

TEST(Json, RoundTripOfEveryKind)
{
    model::Digest digest{};
    digest[0] = std::byte{0xAB};
    JsonBuilder inner;
    inner.number("xid", 731);
    std::vector<JsonBuilder> list;
    list.push_back(std::move(inner));
    JsonBuilder named;
    named.object("orders", JsonBuilder{});
    JsonBuilder out{{"mark", 1}};
    out.text("name", "before \"the\" migration\n")
        .flag("held", true)
        .number("big", UINT64_MAX)
        .signed_number("skew", -17)
        .time("at", *base::parse_time("2026-11-22T14:31:07.123456Z"))
        .offset("from", 0x16B374D848)
        .position("cut", {.epoch = 3, .offset = 0x16B374D848})
        .digest("sha256", digest)
        .array("branches", std::move(list))
        .object("members", std::move(named))
        .texts("warnings", {"a", "b"})
        .numbers("xids", {1, 2})
        .text_map("settings", {{"wal_level", "replica"}});
    auto document = JsonDocument::parse(out.bytes(), "mark");
    JsonObject in = document.expect({"mark", 1});
    EXPECT_EQ(in.text("name"), "before \"the\" migration\n");
    EXPECT_TRUE(in.flag("held"));
    EXPECT_EQ(in.u64("big"), UINT64_MAX);
    EXPECT_EQ(in.i64("skew"), -17);
    EXPECT_EQ(base::format_time(in.time("at")), "2026-11-22T14:31:07.123456Z");
    EXPECT_EQ(in.offset("from"), 0x16B374D848U);
    EXPECT_EQ(in.position("cut"), (model::LogPosition{.epoch = 3, .offset = 0x16B374D848}));
    EXPECT_EQ(in.digest("sha256"), digest);
    in.each("branches", [](const JsonObject& branch) { EXPECT_EQ(branch.u32("xid"), 731U); });
    in.each_named("members",
                  [](const std::string& name, const JsonObject&) { EXPECT_EQ(name, "orders"); });
    EXPECT_EQ(in.texts("warnings"), (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(in.numbers("xids"), (std::vector<std::uint64_t>{1, 2}));
    EXPECT_EQ(in.text_map("settings").at("wal_level"), "replica");
}

TEST(Json, AnyBytesSurviveAsText)
{
    EXPECT_TRUE(rc::check("texts need not be UTF-8", [](const std::vector<std::uint8_t>& raw) {
        std::string text(raw.begin(), raw.end());
        JsonBuilder out;
        out.text("gid", text).text_map("names", {{text, text}});
        auto document = JsonDocument::parse(out.bytes(), "x");
        RC_ASSERT(document.root().text("gid") == text);
        RC_ASSERT(document.root().text_map("names") ==
                  (std::map<std::string, std::string>{{text, text}}));
    }));
}

TEST(Json, ErrorsNameObjectAndField)
{
    auto missing = error_of([] { (void)parse(R"({"a":{"b":1}})").root().object("a").text("cut"); });
    EXPECT_EQ(missing.code(), Code::failed);
    EXPECT_THAT(missing.message(),
                HasSubstr("groups/shop/marks/0000000007: field a.cut is missing"));
    auto wrong = error_of([] { (void)parse(R"({"number":"7"})").root().u64("number"); });
    EXPECT_THAT(wrong.message(), HasSubstr("field number should be a number"));
    auto in_list = error_of([] {
        parse(R"({"members":[{"b":"0/0"},{"b":"zero"}]})")
            .root()
            .each("members", [](const JsonObject& member) { (void)member.offset("b"); });
    });
    EXPECT_THAT(in_list.message(), HasSubstr("field members[1].b should be a log offset"));
}

TEST(Json, RefusesMistypedValues)
{
    auto document = parse(R"({"f":1.5,"n":-1,"huge":99999999999999999999,"t":true,"s":"x","l":[1],)"
                          R"("o":{},"null":null,"u33":4294967296})");
    JsonObject root = document.root();
    EXPECT_THROW((void)root.u64("f"), Error);
    EXPECT_THROW((void)root.u64("n"), Error);
    EXPECT_EQ(root.i64("n"), -1);
    EXPECT_THROW((void)root.u64("huge"), Error);
    EXPECT_THROW((void)root.i64("huge"), Error);
    EXPECT_THROW((void)root.u32("u33"), Error);
    EXPECT_THROW((void)root.flag("s"), Error);
    EXPECT_THROW((void)root.text("t"), Error);
    EXPECT_THROW((void)root.text("o"), Error);
    EXPECT_THROW((void)root.time("s"), Error);
    EXPECT_THROW((void)root.digest("s"), Error);
    EXPECT_THROW((void)root.texts("l"), Error);
    EXPECT_THROW((void)root.object("l"), Error);
    EXPECT_THROW((void)root.text("null"), Error);
    EXPECT_FALSE(root.has("null"));
    EXPECT_EQ(root.maybe_text("absent"), std::nullopt);
}

TEST(Json, RefusesNamesThatOccurTwice)
{
    auto error = error_of([] { parse(R"({"a":{"x":1},"b":{"x":1,"y":[{"x":1}],"x":2}})"); });
    EXPECT_THAT(error.message(), HasSubstr("holds the field x twice"));
    EXPECT_NO_THROW(parse(R"({"a":{"x":1},"b":{"x":1,"y":[{"x":1},{"x":1}]}})"));
}

TEST(Json, RefusesDepthAndGarbage)
{
    std::string deep = R"({"a":)" + std::string(100'000, '[');
    EXPECT_THAT(error_of([&] { parse(deep); }).message(), HasSubstr("nests deeper"));
    for (const char* text : {"", "[]", "null", "{", "{}x", "{\"a\":1,}", "{\"a\":\"\xff\"}", "nan"})
        EXPECT_EQ(error_of([&] { parse(text); }).code(), Code::failed) << text;
}

std::string with_format(std::string_view kind, std::uint64_t format)
{
    JsonBuilder out{{kind, format}};
    out.text("added_later", "x").text("written_by", "tidemark 3.1.0");
    return std::string(base::as_text(out.bytes()));
}

TEST(Json, NewerFormatSaysWhichVersionIsNeeded)
{
    auto error = error_of([] { (void)parse(with_format("mark", 2)).expect({"mark", 1}); });
    EXPECT_EQ(error.code(), Code::repository_newer);
    EXPECT_THAT(error.message(), HasSubstr("format 2"));
    EXPECT_THAT(error.hint(), HasSubstr("tidemark 3.1.0"));
    EXPECT_EQ(error_of([] { (void)parse(with_format("set", 1)).expect({"mark", 1}); }).code(),
              Code::failed);
    EXPECT_NO_THROW((void)parse(with_format("mark", 1)).expect({"mark", 1}));
}

TEST(Json, EveryFlippedBitIsSeen)
{
    const std::string good = with_format("mark", 1);
    for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
        std::string bad = good;
        bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
        EXPECT_EQ(error_of([&] { (void)parse(bad).expect({"mark", 1}); }).code(), Code::failed)
            << "bit " << bit;
    }
    for (std::size_t size = 0; size < good.size(); ++size)
        EXPECT_THROW((void)parse(good.substr(0, size)).expect({"mark", 1}), Error);
}

} // namespace
} // namespace tidemark::repo
