#include "cli/tool.h"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace tidemark::support {

namespace {

constexpr std::chrono::seconds kPatience{120};

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
    return {line_of(arguments), *exit, process.out(), process.err()};
}

ToolRun Tool::run(const Arguments& arguments) const
{
    return finish(spawn(arguments), arguments);
}

} // namespace tidemark::support
