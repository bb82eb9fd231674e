#include "app/demo/demo.h"

#include <functional>
#include <gtest/gtest.h>
#include <vector>

namespace tidemark::app {
namespace {

DemoReport good_report()
{
    DemoReport report;
    report.tidemark.verdict.expected_total = 3'000'000;
    report.tidemark.verdict.total = 3'000'000;
    report.tidemark.verdict.present = 500;
    DemoResult torn;
    torn.verdict.torn = 4;
    torn.verdict.in_doubt = 9;
    report.contrasts = {torn};
    return report;
}

TEST(DemoReportTest, WhatTheUsualWaysBreakIsNoFailure)
{
    EXPECT_TRUE(good_report().proven());
    EXPECT_EQ(good_report().outcome(), base::Code::ok);
}

TEST(DemoReportTest, WhateverIsWrongAtTheMarkFailsTheProgram)
{
    using Verdict = BankVerdict;
    const std::vector<std::function<void(Verdict&)>> faults{
        [](Verdict& one) { one.total += 1; },    [](Verdict& one) { one.torn = 1; },
        [](Verdict& one) { one.missing = 1; },   [](Verdict& one) { one.torn_in_doubt = 1; },
        [](Verdict& one) { one.too_new = 1; },   [](Verdict& one) { one.undead = 1; },
        [](Verdict& one) { one.strangers = 1; }, [](Verdict& one) { one.unbalanced = 1; },
        [](Verdict& one) { one.in_doubt = 1; },
    };
    for (std::size_t i = 0; i < faults.size(); ++i) {
        auto report = good_report();
        faults[i](report.tidemark.verdict);
        EXPECT_EQ(report.outcome(), base::Code::failed) << i;
    }
}

} // namespace
} // namespace tidemark::app
