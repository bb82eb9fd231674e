#include "app/cli/member_url.h"
#include "app/config.h"
#include "base/check.h"
#include "base/error.h"
#include "model/gid_pattern.h"
#include "model/ids.h"

#include <set>
#include <string>
#include <string_view>
#include <vector>

using namespace tidemark;

namespace {

std::vector<std::string> lines_of(std::string_view text)
{
    std::vector<std::string> lines;
    while (!text.empty() && lines.size() < 64) {
        auto line = text.substr(0, text.find('\n'));
        lines.emplace_back(line);
        text.remove_prefix(std::min(text.size(), line.size() + 1));
    }
    return lines;
}

void fuzz_config(const std::string& text)
{
    try {
        app::Config config = app::parse_config(text, "tidemark.toml");
        for (const auto& group : config.groups)
            CHECK(!group.members.empty());
    } catch (const base::Error& error) {
        CHECK(error.code() == base::Code::usage);
    }
}

void fuzz_urls(const std::string& text)
{
    try {
        std::set<std::string> names;
        for (const auto& member : app::members_of_urls(lines_of(text)))
            CHECK(model::is_valid_name(member.name) && names.insert(member.name).second);
    } catch (const base::Error& error) {
        CHECK(error.code() == base::Code::usage);
    }
}

/// The pattern on the first line, gids on the others.
void fuzz_gid_pattern(const std::string& text)
{
    auto lines = lines_of(text);
    if (lines.empty()) return;
    try {
        auto pattern = model::GidPattern::parse(lines[0]);
        for (std::size_t i = 1; i < lines.size() && i < 8; ++i) {
            auto id = pattern.global_id(lines[i]);
            CHECK(!id || lines[i].find(*id) != std::string::npos);
        }
    } catch (const base::Error& error) {
        CHECK(error.code() == base::Code::usage);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size < 1 || size > 65536) return 0;
    std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
    switch (data[0] % 3) {
    case 0:
        fuzz_config(text);
        break;
    case 1:
        fuzz_urls(text);
        break;
    default:
        fuzz_gid_pattern(text);
    }
    return 0;
}
