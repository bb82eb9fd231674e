#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
} // namespace CLI

namespace tidemark::app {

/// One option of the command line, as completion and manual need it.
struct OptionWords {
    std::string short_name;           ///< "q"; empty when there is none
    std::string long_name;            ///< "quiet"; empty for a positional
    std::string value;                ///< "FILE", "marks|backups"; empty for a flag
    std::vector<std::string> choices; ///< when only these values are taken
    std::string help;
    std::string preset; ///< the default value, where it is shown
    bool required = false;
};

struct CommandWords {
    std::string name;
    std::string help;
    std::vector<OptionWords> options;
    std::vector<OptionWords> positionals;
};

/// The command's own options and positionals, hidden ones left out.
CommandWords words_of(const CLI::App& command);
/// All commands that are shown, in the order of the help.
std::vector<CommandWords> commands_of(const CLI::App& program);

} // namespace tidemark::app
