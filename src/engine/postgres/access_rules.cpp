#include "engine/postgres/access_rules.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::engine::postgres {

namespace {

constexpr std::string_view kContinued = "\\\n";

struct RuleWord {
    std::string text; ///< without quotes
    std::size_t at = 0;
    std::size_t end = 0;
    std::size_t field = 0;
    bool quoted = false; ///< from its beginning on: stands for itself
};

bool is_between_fields(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/// Skips what stands for nothing.
std::size_t next_char(std::string_view rule, std::size_t at)
{
    while (rule.substr(at).starts_with(kContinued))
        at += kContinued.size();
    return at;
}

/// As next_token() does, from `at` on; leaves `at` behind the word, or on the comma that ends it.
RuleWord take_word(std::string_view rule, std::size_t& at)
{
    RuleWord word{.text = {}, .at = at, .end = at, .field = 0, .quoted = rule[at] == '"'};
    bool inside = false, was_quote = false;
    for (; at < rule.size(); at = next_char(rule, at + 1)) {
        char c = rule[at];
        if (!inside && (is_between_fields(c) || c == ',' || c == '#')) break;
        if (c != '"' || was_quote) word.text += c;
        was_quote = inside && c == '"' && !was_quote;
        if (c == '"') inside = !inside;
        word.end = at + 1;
    }
    return word;
}

std::vector<RuleWord> rule_words(std::string_view rule)
{
    std::vector<RuleWord> words;
    std::size_t field = 0;
    bool comma = true; // the next word belongs to the same field
    for (std::size_t at = next_char(rule, 0); at < rule.size() && rule[at] != '#';) {
        if (is_between_fields(rule[at]) || rule[at] == ',') {
            at = next_char(rule, at + 1);
            continue;
        }
        if (!comma) ++field;
        words.push_back(take_word(rule, at));
        words.back().field = field;
        comma = at < rule.size() && rule[at] == ',';
    }
    return words;
}

std::string quote_rule_word(std::string_view text)
{
    std::string out = "\"";
    for (char c : text) {
        if (c == '"') out += c;
        out += c;
    }
    return out + "\"";
}

bool rejects(std::string_view rule)
{
    auto words = rule_words(rule);
    return !words.empty() &&
           (words.front().text == "local" || words.front().text.starts_with("host")) &&
           std::ranges::any_of(
               words, [](const auto& word) { return word.field >= 3 && word.text == "reject"; });
}

/// Only the words that change: the rest of a rule may hold a secret (ldapbindpasswd).
void edit_rule(std::string& rule, const IncludePaths& includes, std::vector<std::string>& changed)
{
    auto found = rule_includes(rule);
    std::reverse(found.begin(), found.end()); // those before one keep their places
    for (const auto& [include, at, length, word] : found) {
        auto moved = includes.find(include.path);
        if (moved == includes.end() || moved->second == include.path) continue;
        auto written = word + rule.substr(at, length);
        if (moved->second) {
            auto fresh = quote_rule_word(*moved->second);
            rule.replace(at, length, fresh);
            changed.push_back(fmt::format("{} -> {}{}", written, word, fresh));
        } else if (word == "@" && rejects(rule)) {
            rule.replace(at - 1, length + 1, "all");
            changed.push_back(fmt::format(
                "{} -> all, in a rule that rejects: the backup holds nothing of it", written));
        } else {
            rule = "#" + rule;
            changed.push_back(fmt::format("{}{} -> a remark: the backup holds nothing of it",
                                          word == "@" ? "a rule with " : "", written));
            return;
        }
    }
}

} // namespace

std::vector<std::string> split_rules(std::string_view text)
{
    std::vector<std::string> rules;
    bool continued = false;
    for (auto& line : split_lines(text)) {
        bool goes_on = line.ends_with('\\');
        if (continued)
            rules.back() += "\n" + line;
        else
            rules.push_back(std::move(line));
        continued = goes_on;
    }
    return rules;
}

std::vector<RuleInclude> rule_includes(std::string_view rule)
{
    std::vector<RuleInclude> out;
    auto words = rule_words(rule);
    auto add = [&](const RuleWord& word, std::string path, Include::Kind kind, std::size_t skip) {
        out.push_back({.include = {kind, std::move(path)},
                       .at = word.at + skip,
                       .length = word.end - word.at - skip,
                       .word = "@"});
    };
    for (const auto& word : words) {
        if (!word.quoted && word.text.size() > 1 && word.text.front() == '@')
            add(word, word.text.substr(1), Include::Kind::file, 1);
    }
    if (words.size() != 2 || words[1].field != 1 || !out.empty()) return out;
    const auto& directive = words[0].text;
    if (directive == "include") add(words[1], words[1].text, Include::Kind::file, 0);
    if (directive == "include_if_exists")
        add(words[1], words[1].text, Include::Kind::file_if_exists, 0);
    if (directive == "include_dir") add(words[1], words[1].text, Include::Kind::directory, 0);
    for (auto& include : out)
        include.word = directive + " ";
    return out;
}

EditedConf edit_rules(std::string_view text, const IncludePaths& includes)
{
    EditedConf out;
    for (auto& rule : split_rules(text)) {
        edit_rule(rule, includes, out.changed);
        out.text += rule + "\n";
    }
    return out;
}

} // namespace tidemark::engine::postgres
