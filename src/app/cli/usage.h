#pragma once

#include <span>
#include <string>

namespace CLI {
class App;
class ParseError;
} // namespace CLI

namespace tidemark::app {

/// Says what is wrong with a command line, what is missing and an example; with --json as the
/// document that every command prints. Returns the exit code: 2, and 200 for fetch-log, because
/// PostgreSQL takes small codes for "the log ends here" (rules.md 28).
int refuse_command_line(const CLI::App& program, const CLI::ParseError& error,
                        std::span<const char* const> arguments);
/// The same of a command line without a command.
int refuse_no_command();
/// `help` for a command that there is none of.
int refuse_unknown_command(const std::string& name, bool as_json);

} // namespace tidemark::app
