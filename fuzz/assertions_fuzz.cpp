#include "base/check.h"
#include "base/error.h"
#include "engine/postgres/amcheck.h"
#include "job/assertions.h"

#include <span>

using namespace tidemark;

/// The file of a drill's assertions, sums of what members answer, and pg_amcheck's report.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size < 1) return 0;
    auto text = base::as_text(std::as_bytes(std::span(data, size)).subspan(1));
    const std::vector<std::string> members{"a", "b"};
    if (data[0] % 4 == 0) {
        engine::postgres::parse_amcheck_report(text);
        return 0;
    }
    if (data[0] % 4 == 1) {
        auto half = text.size() / 2;
        auto sum =
            job::exact_sum({std::string(text.substr(0, half)), std::string(text.substr(half))});
        if (sum && sum->size() < 30) CHECK(job::exact_sum({*sum}) == sum);
        return 0;
    }
    try {
        for (const auto& assertion : job::parse_assertions(text, "f", members)) {
            CHECK(!assertion.sql.empty() && !assertion.name.empty());
            // One statement, however it is looked at.
            auto again = job::parse_assertions(assertion.sql + ";", "f", members);
            CHECK(again.size() == 1 && again[0].sql == assertion.sql);
        }
    } catch (const base::Error&) {
    }
    return 0;
}
