#include "app/cli/option_words.h"
#include "app/cli/options.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace tidemark::app {

namespace {

/// In single quotes, for any shell.
std::string quoted(const std::string& text)
{
    std::string out = "'";
    for (char c : text)
        out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

std::string joined(const std::vector<std::string>& words)
{
    std::string out;
    for (const auto& word : words)
        out += (out.empty() ? "" : " ") + word;
    return out;
}

std::string option_list(const CommandWords& command)
{
    std::vector<std::string> words;
    for (const auto& positional : command.positionals)
        words.insert(words.end(), positional.choices.begin(), positional.choices.end());
    for (const auto& option : command.options)
        words.push_back("--" + option.long_name);
    return joined(words);
}

/// What may follow an option: its choices, or a file.
std::string bash_values(const std::vector<CommandWords>& commands)
{
    std::string out;
    for (const auto& command : commands) {
        for (const auto& option : command.options) {
            if (option.value.empty()) continue;
            out += fmt::format("        {}:--{}) {} ;;\n", command.name, option.long_name,
                               option.choices.empty()
                                   ? "COMPREPLY=($(compgen -f -- \"$current\")); return"
                                   : fmt::format("COMPREPLY=($(compgen -W \"{}\" -- \"$current\"));"
                                                 " return",
                                                 joined(option.choices)));
        }
    }
    return out;
}

std::string bash(const CommandWords& program, const std::vector<CommandWords>& commands)
{
    std::vector<std::string> names;
    std::string cases;
    for (const auto& command : commands) {
        names.push_back(command.name);
        cases += fmt::format("        {}) words=\"{}\" ;;\n", command.name, option_list(command));
    }
    std::string takes_value;
    for (const auto& option : program.options) {
        if (!option.value.empty())
            takes_value += (takes_value.empty() ? "--" : "|--") + option.long_name;
    }
    return fmt::format(R"(# bash completion for tidemark, made by: tidemark completion bash
_tidemark()
{{
    local current="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}"
    local words="{names}" command="" word skip=""
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        if [ -n "$skip" ]; then skip=""; continue; fi
        case "$word" in
        {takes_value}) skip=1 ;;
        -*) ;;
        *) command="$word"; break ;;
        esac
    done
    case "$before" in
    {takes_value}) COMPREPLY=($(compgen -f -- "$current")); return ;;
    esac
    case "$command:$before" in
{values}    esac
    case "$command" in
{cases}    esac
    COMPREPLY=($(compgen -W "$words {globals}" -- "$current"))
    [ "${{#COMPREPLY[@]}}" -gt 0 ] || COMPREPLY=($(compgen -f -- "$current"))
}}
complete -F _tidemark tidemark
)",
                       fmt::arg("names", joined(names)), fmt::arg("takes_value", takes_value),
                       fmt::arg("values", bash_values(commands)), fmt::arg("cases", cases),
                       fmt::arg("globals", option_list(program)));
}

std::string zsh_text(const std::string& text)
{
    std::string out;
    for (char c : text) {
        if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
        out += c;
    }
    return out;
}

std::string zsh_options(const CommandWords& command)
{
    std::string out;
    auto value = [](const OptionWords& option) {
        if (option.choices.empty()) return zsh_text(option.value) + ":_files";
        return "value:(" + joined(option.choices) + ")";
    };
    for (const auto& option : command.options) {
        out += " " + quoted(fmt::format("--{}[{}]{}", option.long_name, zsh_text(option.help),
                                        option.value.empty() ? "" : ":" + value(option)));
    }
    for (const auto& positional : command.positionals) {
        if (!positional.choices.empty()) out += " " + quoted(":" + value(positional));
    }
    return out;
}

std::string zsh(const CommandWords& program, const std::vector<CommandWords>& commands)
{
    std::string names, cases;
    for (const auto& command : commands) {
        names += " " + quoted(command.name + ":" + command.help);
        cases +=
            fmt::format("    {}) _arguments $global{} ;;\n", command.name, zsh_options(command));
    }
    return fmt::format(R"(#compdef tidemark
# zsh completion for tidemark, made by: tidemark completion zsh
_tidemark()
{{
    local -a commands global
    commands=({names})
    global=({globals})
    if (( CURRENT == 2 )); then
        _describe -t commands command commands
        _arguments $global
        return
    fi
    local command=$words[2]
    shift words
    (( CURRENT-- ))
    case $command in
{cases}    esac
}}
_tidemark "$@"
)",
                       fmt::arg("names", names), fmt::arg("globals", zsh_options(program)),
                       fmt::arg("cases", cases));
}

std::string fish_options(const CommandWords& command, const std::string& condition)
{
    std::string out;
    for (const auto& option : command.options) {
        out += fmt::format("complete -c tidemark{}{} -l {}{}{} -d {}\n", condition,
                           option.short_name.empty() ? "" : " -s " + option.short_name,
                           option.long_name, option.value.empty() ? "" : " -r",
                           option.choices.empty() ? "" : " -f -a " + quoted(joined(option.choices)),
                           quoted(option.help));
    }
    for (const auto& positional : command.positionals) {
        if (!positional.choices.empty())
            out += fmt::format("complete -c tidemark{} -f -a {}\n", condition,
                               quoted(joined(positional.choices)));
    }
    return out;
}

std::string fish(const CommandWords& program, const std::vector<CommandWords>& commands)
{
    std::string out = "# fish completion for tidemark, made by: tidemark completion fish\n";
    out += fish_options(program, "");
    for (const auto& command : commands) {
        out += fmt::format("complete -c tidemark -n __fish_use_subcommand -f -a {} -d {}\n",
                           command.name, quoted(command.help));
        out += fish_options(command,
                            fmt::format(" -n '__fish_seen_subcommand_from {}'", command.name));
    }
    return out;
}

} // namespace

std::string completion(const std::string& shell)
{
    std::string out;
    with_command_tree([&](const CLI::App& app) {
        auto program = words_of(app);
        auto commands = commands_of(app);
        out = shell == "fish"  ? fish(program, commands)
              : shell == "zsh" ? zsh(program, commands)
                               : bash(program, commands);
    });
    return out;
}

} // namespace tidemark::app
