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

/// What docs/guide/json.md does not say. `show` prints stored objects, which are described
/// elsewhere.
void expect_documented(const ToolRun& run)
{
    static const auto bytes = base::read_file(TIDEMARK_SOURCE_DIR "/docs/guide/json.md", 1U << 20);
    auto page = base::as_text(bytes);
    auto document = run.json();
    if (document.is_null() || document.at("command") == "show") return;
    std::set<std::string> names;
    collect_names(document, names);
    for (const auto& name : names) {
        bool there =
            page.find("`" + name + "`") != page.npos || page.find("`" + name + "[]`") != page.npos;
        EXPECT_TRUE(there) << name << " is not in docs/guide/json.md: " << run.line;
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
