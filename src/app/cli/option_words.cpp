#include "app/cli/option_words.h"

#include <CLI/CLI.hpp>

namespace tidemark::app {

namespace {

std::vector<std::string> split(std::string_view text, char at)
{
    std::vector<std::string> out;
    while (!text.empty()) {
        auto end = std::min(text.find(at), text.size());
        out.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out;
}

/// CLI11 writes a type as "FILE", "N:INT in [1 - 64]" or "TEXT:{bash,zsh}".
void read_type(const std::string& type, OptionWords& into)
{
    auto colon = type.find(':');
    auto open = type.find('{');
    auto close = type.rfind('}');
    if (open != std::string::npos && close != std::string::npos && open < close) {
        into.choices = split(std::string_view(type).substr(open + 1, close - open - 1), ',');
        for (const auto& choice : into.choices)
            into.value += (into.value.empty() ? "" : "|") + choice;
    } else {
        into.value = type.substr(0, colon);
        if (into.value == "UINT" || into.value == "INT") into.value = "N";
    }
}

OptionWords option_words(const CLI::Option& option)
{
    OptionWords out;
    if (!option.get_snames().empty()) out.short_name = option.get_snames().front();
    if (!option.get_lnames().empty()) out.long_name = option.get_lnames().front();
    if (option.get_items_expected_max() != 0) read_type(option.get_type_name(), out);
    out.help = option.get_description();
    out.preset = option.get_default_str();
    out.required = option.get_required();
    return out;
}

} // namespace

CommandWords words_of(const CLI::App& command)
{
    CommandWords out{.name = command.get_name(),
                     .help = command.get_description(),
                     .options = {},
                     .positionals = {}};
    for (const auto* option : command.get_options()) {
        if (option->get_group().empty()) continue;
        if (option->nonpositional())
            out.options.push_back(option_words(*option));
        else
            out.positionals.push_back(option_words(*option));
    }
    return out;
}

std::vector<CommandWords> commands_of(const CLI::App& program)
{
    std::vector<CommandWords> out;
    for (const auto* command : program.get_subcommands([](const CLI::App*) { return true; })) {
        if (!command->get_group().empty()) out.push_back(words_of(*command));
    }
    return out;
}

} // namespace tidemark::app
