#include "cli/tool.h"

#include "base/fd.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <set>

namespace tidemark::support {

namespace {

constexpr std::chrono::seconds kPatience{120};

/// Every name of a field, at any depth.
void collect_names(const nlohmann::json& value, std::set<std::string>& into)
{
    for (const auto& [name, one] : value.items()) {
        if (value.is_object()) into.insert(name);
        if (one.is_structured()) collect_names(one, into);
    }
}

/// A command's row in the table of docs/guide/json.md; empty when it has none.
std::string_view row_of(std::string_view page, std::string_view command)
{
    auto from = page.find(fmt::format("\n| `{}` |", command));
    if (from == page.npos) return {};
    auto row = page.substr(from + 1);
    return row.substr(0, row.find('\n'));
}

/// What docs/guide/json.md says of a command: its row, the rows that this leads to ("then as
/// `mark`", "as in `restore`", "of `list runs`"), and all that stands around the table.
std::string description_of(std::string_view page, const std::string& command)
{
    auto table = page.find("\n| command | fields |\n");
    auto end = page.find("\n\n", table == page.npos ? table : table + 1);
    EXPECT_NE(end, page.npos) << "docs/guide/json.md has no table of the commands";
    if (end == page.npos) return {};
    std::string text(page.substr(0, table));
    text += page.substr(end);
    std::vector<std::string> commands{command};
    for (std::size_t i = 0; i < commands.size(); ++i) {
        const auto row = row_of(page, commands[i]);
        text += row;
        for (std::string_view lead : {"as `", "as in `", "of `"}) {
            for (auto at = row.find(lead); at != row.npos; at = row.find(lead, at + 1)) {
                auto name = row.substr(at + lead.size());
                name = name.substr(0, name.find_first_of("` "));
                if (std::ranges::find(commands, name) == commands.end())
                    commands.emplace_back(name);
            }
        }
    }
    return text;
}

/// What docs/guide/json.md does not say of this command. `show` prints stored objects, which are
/// described elsewhere.
void expect_documented(const ToolRun& run)
{
    static const auto bytes = base::read_file(TIDEMARK_SOURCE_DIR "/docs/guide/json.md", 1U << 20);
    auto document = run.json();
    if (document.is_null() || document.at("command") == "show") return;
    const auto text =
        description_of(base::as_text(bytes), document.at("command").get<std::string>());
    std::set<std::string> names;
    collect_names(document, names);
    for (const auto& name : names) {
        bool there =
            text.find("`" + name + "`") != text.npos || text.find("`" + name + "[]`") != text.npos;
        EXPECT_TRUE(there) << name
                           << " is not in docs/guide/json.md for this command: " << run.line;
    }
}

std::string line_of(const Tool::Arguments& arguments)
{
    std::string line = "tidemark";
    for (const auto& argument : arguments)
        line += " " + argument;
    return line;
}

} // namespace

nlohmann::json ToolRun::json() const
{
    auto parsed = nlohmann::json::parse(out, nullptr, false);
    return parsed.is_discarded() ? nlohmann::json{} : parsed;
}

std::string ToolRun::text() const
{
    return fmt::format("{}\n{}\n--- stdout\n{}--- stderr\n{}", line, exit.describe(), out, err);
}

bool ToolRun::explained() const
{
    auto message = err.find("tidemark: ");
    return message != std::string::npos && err.find("tidemark: ", message + 1) == err.npos &&
           err.find("\n  next: ", message) != std::string::npos;
}

Tool::Tool(std::filesystem::path scratch) : scratch_(std::move(scratch))
{
    std::filesystem::create_directories(scratch_);
}

base::ProcessOptions Tool::options() const
{
    base::ProcessOptions options;
    options.directory = scratch_;
    options.environment = {{"XDG_STATE_HOME", (scratch_ / "state").string()},
                           {"TIDEMARK_CONFIG", ""},
                           {"NO_COLOR", "1"}};
    // The servers that the clusters of the test run on; a restore finds its own on the way to them.
    if (const char* bin = std::getenv("TIDEMARK_POSTGRES_BIN"); bin != nullptr && *bin != 0) {
        const char* path = std::getenv("PATH");
        options.environment["PATH"] = fmt::format("{}:{}", bin, path != nullptr ? path : "");
    }
    return options;
}

base::Process Tool::spawn(const Arguments& arguments) const
{
    std::vector<std::string> argv{TIDEMARK_PROGRAM};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return base::Process::spawn(argv, options());
}

ToolRun Tool::finish(base::Process process, const Arguments& arguments)
{
    auto exit = process.wait_for(kPatience);
    if (!exit) {
        process.kill(SIGKILL);
        exit = process.wait();
        exit->timed_out = true;
    }
    ToolRun run{line_of(arguments), *exit, process.out(), process.err()};
    if (std::ranges::find(arguments, "--json") != arguments.end()) expect_documented(run);
    return run;
}

ToolRun Tool::run(const Arguments& arguments) const
{
    return finish(spawn(arguments), arguments);
}

} // namespace tidemark::support
