#include "engine/postgres/conf_file.h"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>

namespace tidemark::engine::postgres {

namespace {

bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

std::string_view trim(std::string_view text)
{
    while (!text.empty() && is_blank(text.front()))
        text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back()))
        text.remove_suffix(1);
    return text;
}

bool is_name_char(char c)
{
    auto u = static_cast<unsigned char>(c);
    return std::isalnum(u) != 0 || c == '_' || c == '.' || c == '$' || u >= 0x80;
}

/// The character that a backslash and the text at `i` stand for (guc-file.l, DeescapeQuotedString);
/// leaves `i` at its last one.
char unescape(std::string_view text, std::size_t& i)
{
    constexpr std::string_view kLetters = "bfnrt", kMeanings = "\b\f\n\r\t";
    auto at = kLetters.find(text[i]);
    if (at != std::string_view::npos) return kMeanings[at];
    auto octal = [&](std::size_t k) { return k < text.size() && text[k] >= '0' && text[k] <= '7'; };
    if (!octal(i)) return text[i];
    unsigned value = 0;
    for (std::size_t end = i + 3; i < end && octal(i); ++i)
        value = value * 8 + static_cast<unsigned>(text[i] - '0');
    --i;
    return static_cast<char>(value & 0xffU);
}

/// The text behind an opening quote up to its end; quotes are doubled or escaped.
std::optional<std::string> unquote(std::string_view text)
{
    std::string out;
    for (std::size_t i = 1; i < text.size(); ++i) {
        char c = text[i];
        if (c == '\'') {
            if (i + 1 >= text.size() || text[i + 1] != '\'') return out;
            ++i;
        } else if (c == '\\' && i + 1 < text.size()) {
            c = unescape(text, ++i);
        }
        out += c;
    }
    return std::nullopt;
}

} // namespace

std::optional<ConfLine> parse_conf_line(std::string_view line)
{
    line = trim(line);
    auto end = std::find_if_not(line.begin(), line.end(), is_name_char);
    ConfLine out;
    out.name.assign(line.begin(), end);
    if (out.name.empty() || std::isdigit(static_cast<unsigned char>(out.name[0])) != 0) {
        return std::nullopt;
    }
    std::transform(out.name.begin(), out.name.end(), out.name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    auto rest = trim(line.substr(out.name.size()));
    if (rest.starts_with('=')) rest = trim(rest.substr(1));
    if (rest.empty() || rest.starts_with('#')) return std::nullopt;
    if (rest.starts_with('\'')) {
        auto value = unquote(rest);
        if (!value) return std::nullopt;
        out.value = *value;
    } else {
        auto stop =
            std::find_if(rest.begin(), rest.end(), [](char c) { return is_blank(c) || c == '#'; });
        out.value.assign(rest.begin(), stop);
    }
    return out;
}

std::vector<std::string> split_lines(std::string_view text)
{
    std::vector<std::string> lines;
    while (!text.empty()) {
        auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        lines.emplace_back(line);
    }
    return lines;
}

std::string quote_conf_value(std::string_view value)
{
    std::string out = "'";
    for (char c : value) {
        if (c == '\n') {
            out += "\\n"; // a value ends with its line
            continue;
        }
        if (c == '\'' || c == '\\') out += c;
        out += c;
    }
    return out + "'";
}

std::string conf_line(std::string_view name, std::string_view value)
{
    return fmt::format("{} = {}\n", name, quote_conf_value(value));
}

bool may_hold_secret(const ConfLine& line)
{
    if (line.name.ends_with("_conninfo") || line.name.ends_with("_command")) return true;
    if (line.name == "ssl_key_file") return false; // a path; the key is in the file
    std::string text = line.name + " " + line.value;
    std::ranges::transform(text, text.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    for (const char* word : {"passw", "passphrase", "secret", "key", "token", "credential", "://"})
        if (text.find(word) != text.npos) return true;
    return false;
}

std::optional<Include> parse_include(std::string_view line)
{
    auto parsed = parse_conf_line(line);
    if (!parsed || parsed->value.empty()) return std::nullopt;
    const auto& path = parsed->value;
    if (parsed->name == "include") return Include{Include::Kind::file, path};
    if (parsed->name == "include_if_exists") return Include{Include::Kind::file_if_exists, path};
    if (parsed->name == "include_dir") return Include{Include::Kind::directory, path};
    return std::nullopt;
}

namespace {

std::string describe(const ConfLine& line)
{
    if (may_hold_secret(line)) return line.name + " (its value is not shown)";
    return fmt::format("{} = {}", line.name, quote_conf_value(line.value));
}

} // namespace

EditedConf edit_conf(std::string_view text, const ConfEdit& edit)
{
    EditedConf out;
    for (const auto& line : split_lines(text)) {
        std::string fresh = line, shown;
        if (auto include = parse_include(line)) {
            auto moved = edit.includes.find(include->path);
            if (moved != edit.includes.end() && !moved->second) {
                fresh = "#" + line;
                shown = fmt::format("{} -> a remark: the backup holds nothing of it", trim(line));
            } else if (moved != edit.includes.end() && *moved->second != include->path) {
                fresh = fmt::format("{} {}", parse_conf_line(line)->name,
                                    quote_conf_value(*moved->second));
                shown = fmt::format("{} -> {}", trim(line), fresh);
            }
        } else if (auto setting = parse_conf_line(line)) {
            auto wanted = edit.settings.find(setting->name);
            if (wanted != edit.settings.end() && !wanted->second) {
                fresh = "#" + line;
                shown = describe(*setting) + " -> a remark";
            } else if (wanted != edit.settings.end() && *wanted->second != setting->value) {
                ConfLine now{setting->name, *wanted->second};
                fresh = fmt::format("{} = {}", now.name, quote_conf_value(now.value));
                shown = fmt::format("{} -> {}", describe(*setting), describe(now));
            }
        }
        if (fresh != line) out.changed.push_back(shown);
        out.text += fresh + "\n";
    }
    return out;
}

} // namespace tidemark::engine::postgres
