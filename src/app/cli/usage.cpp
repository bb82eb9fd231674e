#include "app/cli/usage.h"

#include "app/cli/output.h"
#include "base/error.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <string_view>

namespace tidemark::app {

using base::Code;
using base::Error;

namespace {

/// The parser stopped somewhere and may not have seen it.
bool wants_json(std::span<const char* const> arguments)
{
    for (std::string_view argument : arguments) {
        if (argument == "--") return false;
        if (argument == "--json") return true;
    }
    return false;
}

/// What the parser says, without the names it knows positionals by.
std::string sentence(const CLI::App& command, std::string_view said)
{
    for (const auto* option : command.get_options()) {
        if (option->nonpositional()) continue;
        auto name = option->get_name();
        if (option->get_required() && option->count() == 0)
            return "an argument is missing: " +
                   (option->get_description().empty() ? name : option->get_description());
        if (said.starts_with(name + ": ")) said.remove_prefix(name.size() + 2);
    }
    return std::string(said);
}

Error in_command(const CLI::App& command, const CLI::ParseError& error)
{
    const auto& name = command.get_name();
    auto example = command.get_footer(); // the program's, where the command has none
    bool own = example != command.get_parent()->get_footer();
    return {
        Code::usage,
        name + ": " + sentence(command, error.what()),
        {.hint = own ? example : fmt::format("tidemark {} --help shows what is possible", name)}};
}

Error without_command(const CLI::App& program, const CLI::ParseError& error)
{
    const std::string hint = "tidemark help lists the commands";
    auto rest = program.remaining();
    if (rest.empty() || rest.front().starts_with('-')) return {Code::usage, error.what(), {hint}};
    return {Code::usage, "there is no command " + rest.front(), {hint}};
}

} // namespace

int refuse_command_line(const CLI::App& program, const CLI::ParseError& error,
                        std::span<const char* const> arguments)
{
    auto commands = program.get_subcommands();
    auto what =
        commands.empty() ? without_command(program, error) : in_command(*commands.front(), error);
    std::string name = commands.empty() ? "" : commands.front()->get_name();
    auto code = name == "fetch-log" ? Code::cannot_tell : Code::usage;
    return Output(name, wants_json(arguments)).finish(static_cast<int>(code), &what);
}

int refuse_no_command()
{
    Error what{Code::usage, "there is no command", {"tidemark help lists the commands"}};
    return Output("", true).finish(static_cast<int>(Code::usage), &what);
}

int refuse_unknown_command(const std::string& name, bool as_json)
{
    Error what{Code::usage, "there is no command " + name, {"tidemark help lists the commands"}};
    return Output("help", as_json).finish(static_cast<int>(Code::usage), &what);
}

} // namespace tidemark::app
