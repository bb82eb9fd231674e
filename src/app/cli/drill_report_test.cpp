#include "app/cli/drill_report.h"

#include "base/error.h"
#include "base/fd.h"
#include "base/temp_dir.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace tidemark::app {
namespace {

using namespace std::chrono_literals;
using model::CheckResult;
using testing::HasSubstr;
using testing::Not;

model::Drill sample()
{
    model::Drill drill;
    drill.group = "shop";
    drill.host = "spare";
    drill.mark = 12;
    drill.mark_name = "nightly";
    drill.mark_time = drill.started = *base::parse_time("2026-11-22T12:00:00Z");
    drill.ended = drill.started + 11min;
    drill.restore_took = 9min;
    drill.stages = {{.member = "", .name = "make room", .start = 0s, .took = 1s},
                    {.member = "orders", .name = "write files", .start = 1s, .took = 5min},
                    {.member = "orders", .name = "replay log", .start = 301s, .took = 4min}};
    drill.checks = {{.name = "recovery", .member = "orders", .text = "stopped at 0/1"},
                    {.name = "amcheck",
                     .member = "orders",
                     .result = CheckResult::skipped,
                     .text = "not installed"}};
    drill.decisions = {{.member = "orders", .gid = "<g&1>", .action = "commit"}};
    return drill;
}

TEST(DrillReportTest, TextSaysWhatWasProvenAndWhatNot)
{
    auto text = drill_text(sample(), 3);
    EXPECT_THAT(text, HasSubstr("drill-3 of group shop, mark m-12 nightly"));
    EXPECT_THAT(text, HasSubstr("PASSED: the mark is proven by recovery, not by amcheck"));
    EXPECT_THAT(text, HasSubstr("write files"));
    auto failed = sample();
    failed.failure = "a frame is broken";
    EXPECT_THAT(drill_text(failed, {}), HasSubstr("FAILED\nit ended early: a frame is broken"));
}

TEST(DrillReportTest, WhoIsToldOfAFailureHearsWhatFailed)
{
    auto drill = sample();
    drill.checks.push_back({.name = "assertion",
                            .subject = "money",
                            .member = "orders",
                            .result = CheckResult::failed,
                            .text = "returned f, not true"});
    EXPECT_EQ(drill_failure(drill),
              "mark m-12 nightly: assertion money at orders: returned f, not true");
    drill.checks.push_back(drill.checks.back());
    EXPECT_THAT(drill_failure(drill), HasSubstr("not true (and 1 more)"));
    drill.failure = "a frame is broken";
    EXPECT_EQ(drill_failure(drill), "mark m-12 nightly: a frame is broken");
}

// rule 8: a copy can only be as production was.
TEST(DrillReportTest, WhatProductionLeftHalfThereIsPartOfTheProof)
{
    auto drill = sample();
    EXPECT_THAT(drill_text(drill, 3), Not(HasSubstr("half there")));
    drill.half_there = {"damage: h"};
    drill.warnings = {"damage: h", "collation"};
    auto text = drill_text(drill, 3);
    EXPECT_THAT(text, HasSubstr("is proven by recovery, not by amcheck, as production was: with "
                                "one transaction half there\n"));
    EXPECT_THAT(text, HasSubstr("half there: damage: h\nwarning: collation\n"));
    EXPECT_EQ(drill_json(drill, 3).at("half_there").dump(), R"(["damage: h"])");
    auto proof = *model::proof_of(drill, 3);
    EXPECT_THAT(proof_text(proof, drill.ended), HasSubstr("with one transaction half there)"));
    EXPECT_EQ(proof_json(proof).at("half_there").dump(), R"(["damage: h"])");
    EXPECT_THAT(drill_html(drill, 3), HasSubstr("half there: damage: h<"));
}

TEST(DrillReportTest, AMomentIsCalledByItsTime)
{
    auto drill = sample();
    drill.mark = 0;
    drill.mark_name.clear();
    auto text = drill_text(drill, 3);
    EXPECT_THAT(text, HasSubstr("drill-3 of group shop, the moment 2026-11-22 12:00:00 UTC\n"));
    EXPECT_THAT(text, HasSubstr("the moment is proven by"));
    auto page = drill_html(drill, 3);
    EXPECT_THAT(page, HasSubstr("the moment 2026-11-22 12:00:00 UTC"));
    for (const auto& what : {text, page, drill_json(drill, 3).dump()})
        EXPECT_THAT(what, Not(HasSubstr("m-0")));
    EXPECT_TRUE(drill_json(drill, 3).at("mark").is_null());
    auto proof = model::proof_of(drill, 3);
    ASSERT_TRUE(proof);
    EXPECT_TRUE(proof_json(*proof).at("mark").is_null());
    EXPECT_EQ(proof_json(*proof).at("mark_time"), "2026-11-22T12:00:00.000000Z");
}

TEST(DrillReportTest, JsonHoldsTheSame)
{
    auto document = drill_json(sample(), 3);
    EXPECT_EQ(document.at("id"), "drill-3");
    EXPECT_EQ(document.at("proves"), true);
    EXPECT_EQ(document.at("skipped"), nlohmann::json::array({"amcheck"}));
    EXPECT_EQ(document.at("stages").size(), 3U);
    EXPECT_EQ(document.at("restore_us"), std::chrono::microseconds{9min}.count());
}

TEST(DrillReportTest, ThePageNeedsNothingElse)
{
    auto page = drill_html(sample(), 3);
    EXPECT_THAT(page, HasSubstr("<svg"));
    EXPECT_THAT(page, HasSubstr("orders write files: 5 min"));
    EXPECT_THAT(page, HasSubstr("&lt;g&amp;1&gt;"));
    EXPECT_THAT(page, Not(HasSubstr("<g&1>")));
    for (const char* foreign : {"<script", "<link", "src=", "href=", "url("})
        EXPECT_THAT(page, Not(HasSubstr(foreign)));
    auto count = [&](const std::string& what) {
        std::size_t n = 0;
        for (auto at = page.find(what); at != page.npos; at = page.find(what, at + 1))
            ++n;
        return n;
    };
    EXPECT_EQ(count("<rect"), sample().stages.size());
    for (const char* tag : {"table", "svg", "g", "tr", "td", "ul", "h2", "p", "html", "body"})
        EXPECT_EQ(count("<" + std::string(tag) + ">") + count("<" + std::string(tag) + " "),
                  count("</" + std::string(tag) + ">"))
            << tag;
}

TEST(DrillReportTest, TheFilesNameTellsItsForm)
{
    base::TempDir dir;
    auto head = [&](const char* name) {
        write_drill_report(dir.path() / name, sample(), 3);
        auto bytes = base::read_file(dir.path() / name, 1U << 20);
        return std::string(base::as_text(bytes)).substr(0, 9);
    };
    EXPECT_EQ(head("r.html"), "<!doctype");
    EXPECT_EQ(head("r.json").substr(0, 1), "{");
    EXPECT_EQ(head("r"), "drill-3 o");
}

TEST(DrillReportTest, AProofInOneLine)
{
    auto proof = model::proof_of(sample(), 3);
    ASSERT_TRUE(proof.has_value());
    EXPECT_EQ(proof_text(*proof, sample().ended + 1h),
              "1 h 0 min ago (drill-3, 9 min 0 s, without amcheck)");
}

} // namespace
} // namespace tidemark::app
