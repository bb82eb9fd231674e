#include "app/cli/decisions.h"

#include "base/error.h"
#include "model/gid_text.h"

#include <fmt/format.h>
#include <optional>
#include <sstream>

namespace tidemark::app {

namespace {

struct Line {
    std::string member, gid, verdict;
};

std::string_view skip_blanks(std::string_view text)
{
    auto from = text.find_first_not_of(" \t\r\v\f");
    return from == text.npos ? std::string_view{} : text.substr(from);
}

/// Empty when the line is no decision.
std::optional<Line> parse_line(std::string_view text)
{
    Line line;
    for (auto* word : {&line.member, &line.gid, &line.verdict}) {
        auto taken = model::take_gid_word(text);
        auto rest = skip_blanks(text);
        if (!taken || (!rest.empty() && rest.size() == text.size()))
            return std::nullopt; // words stand apart
        *word = std::move(*taken);
        text = rest;
    }
    bool ends = text.empty() || text.front() == '#';
    if (!ends || (line.verdict != "commit" && line.verdict != "rollback")) return std::nullopt;
    return line;
}

} // namespace

Decisions parse_decisions(std::string_view text, const std::string& file, DecisionLines* places)
{
    Decisions decisions;
    DecisionLines first;
    std::istringstream lines{std::string(text)};
    std::string line, mistakes;
    for (int number = 1; std::getline(lines, line); ++number) {
        auto rest = skip_blanks(line);
        if (rest.empty() || rest.front() == '#') continue;
        auto parsed = parse_line(rest);
        std::string mistake = "expected MEMBER GID commit|rollback (a GID with blanks, '#' or "
                              "quotes as a JSON string)";
        if (parsed) {
            bool commit = parsed->verdict == "commit";
            std::pair name{parsed->member, parsed->gid};
            auto place = first.try_emplace(name, fmt::format("{}:{}", file, number)).first->second;
            if (decisions.try_emplace(name, commit).first->second == commit) continue;
            mistake = fmt::format("decides the other way than {}", place);
        }
        mistakes += fmt::format("{}{}:{}: {}", mistakes.empty() ? "" : "\n", file, number, mistake);
    }
    if (!mistakes.empty())
        throw base::Error{base::Code::usage,
                          mistakes,
                          {.hint = "correct the file and run the same command again"}};
    if (places != nullptr) *places = std::move(first);
    return decisions;
}

} // namespace tidemark::app
