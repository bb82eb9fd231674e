#include "app/cli/options.h"

#include "app/cli/command_tree.h"
#include "app/cli/usage.h"
#include "base/error.h"

#include <algorithm>
#include <cstdio>
#include <span>
#include <utility>

namespace tidemark::app {

namespace {

/// An empty word means "not given" inside, and somebody's unset shell variable outside: `restore
/// --to "$MARK"` must not restore another mark than was meant. Only a note may be empty.
void refuse_empty(const CLI::App& app)
{
    for (const auto* option : app.get_options()) {
        if (option->get_name() == "--note") continue;
        const auto& words = option->results();
        if (std::find(words.begin(), words.end(), "") != words.end())
            throw CLI::ValidationError(option->get_name(), "must not be empty");
    }
    for (const auto* command : app.get_subcommands())
        refuse_empty(*command);
}

/// "m-12", as no name of a mark may be.
bool is_mark_id(const std::string& word)
{
    return word.size() > 2 && word.starts_with("m-") &&
           std::all_of(word.begin() + 2, word.end(), [](char c) { return c >= '0' && c <= '9'; });
}

} // namespace

Parsed parse_command_line(int argc, const char* const* argv)
{
    Parsed parsed;
    CommandTree tree(parsed.options);
    try {
        tree.app().parse(argc, argv);
        refuse_empty(tree.app());
    } catch (const CLI::ParseError& error) {
        parsed.finished = true;
        std::span arguments(argv, static_cast<std::size_t>(argc));
        bool asked = error.get_exit_code() == 0; // for help
        parsed.code =
            asked ? tree.app().exit(error) : refuse_command_line(tree.app(), error, arguments);
        return parsed;
    }
    if (parsed.options.command == "audit") {
        parsed.options.subject = tree.positional().back();
        if (tree.positional().size() == 2) parsed.options.group = tree.positional().front();
        // Every other command takes what it is about first, and then the group.
        if (is_mark_id(parsed.options.group) && !is_mark_id(parsed.options.subject))
            std::swap(parsed.options.group, parsed.options.subject);
    }
    if (parsed.options.command.empty() || parsed.options.command == "help") {
        bool bare = parsed.options.command.empty();
        parsed.finished = true;
        parsed.code = bare ? static_cast<int>(base::Code::usage) : 0;
        if (bare && parsed.options.json) {
            parsed.code = refuse_no_command();
            return parsed;
        }
        // Of a fresh tree: this one would show the page of the command that was parsed.
        with_command_tree([&](const CLI::App& app) {
            const auto& about = parsed.options.subject;
            auto found = app.get_subcommands(
                [&](const CLI::App* command) { return command->get_name() == about; });
            if (about.empty())
                std::fputs(app.help().c_str(), bare ? stderr : stdout);
            else if (found.empty())
                parsed.code = refuse_unknown_command(about, parsed.options.json);
            else
                std::fputs(found.front()->help(app.get_name()).c_str(), stdout);
        });
    }
    return parsed;
}

void with_command_tree(const std::function<void(const CLI::App&)>& look)
{
    Options ignored;
    CommandTree tree(ignored);
    look(tree.app());
}

std::string version_text()
{
    return "tidemark 0.1.0";
}

} // namespace tidemark::app
