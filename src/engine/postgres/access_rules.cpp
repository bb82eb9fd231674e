#include "engine/postgres/access_rules.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::engine::postgres {

namespace {

constexpr std::string_view kContinued = "\\\n";
/// `all` databases are none to a connection for replication.
constexpr std::string_view kAllDatabases = "all,replication";
constexpr std::string_view kRejectAll = "local all,replication all reject\n"
                                        "host all,replication all all reject";

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

/// Where the method stands in a rule for these connections; absent when it is no such rule.
std::optional<std::size_t> method_of(std::string_view rule)
{
    auto words = rule_words(rule);
    if (words.empty()) return std::nullopt;
    const auto& type = words.front().text;
    if (type != "local" && !type.starts_with("host")) return std::nullopt;
    std::size_t field = type == "local" ? 3 : 4;
    auto found = std::ranges::find(words, field, &RuleWord::field);
    // An address can have its mask in a field of its own; no method looks like one.
    if (field == 4 && found != words.end() && found->text.find_first_of(":.") != std::string::npos)
        found = std::ranges::find(words, field + 1, &RuleWord::field);
    if (found == words.end()) return std::nullopt;
    return found->at;
}

/// The names in the file that nobody knows: whoever they are.
std::string_view anybody(std::string_view rule, std::size_t at)
{
    auto words = rule_words(rule);
    auto found = std::ranges::find(words, at, &RuleWord::at);
    return found != words.end() && found->field == 1 ? kAllDatabases : "all";
}

/// In a rule of access that names the absent file: with `all` in the place of the names and, if it
/// let them in, `reject` in the place of its method. Below it, others would be let in.
bool reject_instead(std::string& rule, const std::string& before)
{
    auto method = method_of(rule);
    if (method && std::string_view(rule).substr(*method).starts_with("reject")) return true;
    // The remark last: the last rule of a file may end with a backslash.
    rule = (method ? rule.substr(0, *method) + "reject" : std::string(kRejectAll)) + "\n#" + before;
    return false;
}

/// Only the words that change: the rest of a rule may hold a secret (ldapbindpasswd).
void edit_rule(std::string& rule, const IncludePaths& includes, RulesOf of,
               std::vector<std::string>& changed)
{
    const auto before = rule;
    std::vector<std::string> lost;
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
        } else if (of == RulesOf::access && word == "@") {
            rule.replace(at - 1, length + 1, anybody(rule, at - 1));
            lost.push_back(written);
        } else {
            const bool closed = of == RulesOf::access && word != "include_if_exists ";
            rule = (closed ? std::string(kRejectAll) + "\n#" : "#") + before;
            changed.push_back(fmt::format("{}{} -> {}: the backup holds nothing of it",
                                          word == "@" ? "a rule with " : "", written,
                                          closed ? "all are rejected here" : "a remark"));
            return;
        }
    }
    if (lost.empty()) return;
    const bool rejected = reject_instead(rule, before);
    for (const auto& written : lost)
        changed.push_back(
            rejected
                ? written + " -> all, in a rule that rejects: the backup lacks it or a part of it"
                : fmt::format("a rule with {} -> rejects all whom it may have been for: the "
                              "backup lacks it or a part of it",
                              written));
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

EditedConf edit_rules(std::string_view text, const IncludePaths& includes, RulesOf of)
{
    EditedConf out;
    for (auto& rule : split_rules(text)) {
        edit_rule(rule, includes, of, out.changed);
        out.text += rule + "\n";
    }
    return out;
}

} // namespace tidemark::engine::postgres
