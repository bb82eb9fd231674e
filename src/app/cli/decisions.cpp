#include "app/cli/decisions.h"

#include "base/error.h"

#include <fmt/format.h>
#include <sstream>

namespace tidemark::app {

Decisions parse_decisions(std::string_view text, const std::string& file)
{
    Decisions decisions;
    std::istringstream lines{std::string(text)};
    std::string line, mistakes;
    for (int number = 1; std::getline(lines, line); ++number) {
        std::istringstream words(line.substr(0, line.find('#')));
        std::string member, gid, verdict, more;
        if (!(words >> member)) continue;
        bool good = static_cast<bool>(words >> gid >> verdict) && !(words >> more) &&
                    (verdict == "commit" || verdict == "rollback");
        const char* mistake = "expected MEMBER GID commit|rollback";
        if (good) {
            bool commit = verdict == "commit";
            if (decisions.try_emplace({member, gid}, commit).first->second == commit) continue;
            mistake = "decides the other way than a line before";
        }
        mistakes += fmt::format("{}{}:{}: {}", mistakes.empty() ? "" : "\n", file, number, mistake);
    }
    if (!mistakes.empty())
        throw base::Error{base::Code::usage,
                          mistakes,
                          {.hint = "correct the file and run the same command again"}};
    return decisions;
}

} // namespace tidemark::app
