#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The grammar of postgresql.conf (guc-file.l): one setting a line, `name [=] value [# remark]`,
/// names without regard to case, values bare or in single quotes.
namespace tidemark::engine::postgres {

struct ConfLine {
    std::string name;  ///< lower case
    std::string value; ///< without quotes
    friend bool operator==(const ConfLine&, const ConfLine&) = default;
};

/// Empty for empty lines, remarks and what is not a setting.
std::optional<ConfLine> parse_conf_line(std::string_view line);
std::vector<std::string> split_lines(std::string_view text);
/// 'value' with quotes and backslashes doubled; stays on one line.
std::string quote_conf_value(std::string_view value);
/// "name = 'value'\n"
std::string conf_line(std::string_view name, std::string_view value);

/// May the value hold a password or the like? By what the setting is for (connection strings,
/// commands) and by words in its name and value. Such a value is never printed.
bool may_hold_secret(const ConfLine& line);

/// What a configuration file includes. For access rules see access_rules.h.
struct Include {
    enum class Kind { file, file_if_exists, directory };
    Kind kind = Kind::file;
    std::string path; ///< as written, perhaps relative to the including file's folder
};
std::optional<Include> parse_include(std::string_view line);

/// Path as written -> new path; an absent one turns the line into a remark.
using IncludePaths = std::map<std::string, std::optional<std::string>>;

/// Replaces settings in the text of a configuration file.
struct ConfEdit {
    /// New values by name; an absent value turns the line into a remark.
    std::map<std::string, std::optional<std::string>> settings;
    IncludePaths includes;
};
struct EditedConf {
    std::string text;
    /// "name = 'old' -> name = 'new'" for people to read; without the values where one of them may
    /// hold a secret.
    std::vector<std::string> changed;
};
EditedConf edit_conf(std::string_view text, const ConfEdit& edit);

} // namespace tidemark::engine::postgres
