#include "app/config_section.h"

#include "base/error.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace tidemark::app {

namespace {

/// Edits needed to turn one word into another, for "did you mean".
std::size_t distance(std::string_view a, std::string_view b)
{
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j)
        row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
        }
    }
    return row[b.size()];
}

std::string_view nearest(std::string_view name, const Keys& keys)
{
    std::string_view out;
    std::size_t best = name.size() / 2 + 2;
    for (const auto* list : {&keys.known, &keys.later}) {
        for (auto candidate : *list) {
            if (auto d = distance(name, candidate); d < best) {
                best = d;
                out = candidate;
            }
        }
    }
    return out;
}

bool holds(const std::vector<std::string_view>& keys, std::string_view name)
{
    return std::find(keys.begin(), keys.end(), name) != keys.end();
}

unsigned line_of(const toml::node& node)
{
    return node.source().begin.line;
}

} // namespace

void Findings::mistake(unsigned line, const std::string& what)
{
    mistakes_.emplace_back(line, fmt::format("{}:{}: {}", path_.string(), line, what));
}

void Findings::finish()
{
    if (mistakes_.empty()) return;
    std::sort(mistakes_.begin(), mistakes_.end());
    std::string all;
    for (const auto& [line, text] : mistakes_) {
        if (!all.empty()) all += '\n';
        all += text;
    }
    throw base::Error{base::Code::usage,
                      all,
                      {.hint = "correct the configuration file and run the command again"}};
}

std::string Section::full(std::string_view key) const
{
    return name_.empty() ? std::string(key) : fmt::format("{}.{}", name_, key);
}

void Section::mistake(const std::string& what) const
{
    findings_->mistake(line_of(*table_), what);
}

void Section::mistake(std::string_view key, const std::string& what) const
{
    mistake_at(key, fmt::format("{} {}", full(key), what));
}

void Section::mistake_at(std::string_view key, const std::string& sentence) const
{
    const auto* node = table_->get(key);
    findings_->mistake(line_of(node == nullptr ? *table_ : *node), sentence);
}

void Section::allow(const Keys& keys) const
{
    for (const auto& [key, node] : *table_) {
        std::string_view name = key.str();
        if (holds(keys.known, name)) continue;
        if (holds(keys.later, name)) {
            findings_->inactive.push_back(full(name));
            continue;
        }
        auto meant = nearest(name, keys);
        findings_->mistake(
            key.source().begin.line,
            fmt::format("unknown key {}{}", full(name),
                        meant.empty() ? "" : fmt::format(" (did you mean {}?)", meant)));
    }
}

std::optional<std::string> Section::text(std::string_view key) const
{
    const auto* node = table_->get(key);
    if (node == nullptr) return std::nullopt;
    auto value = node->value_exact<std::string>();
    if (!value) mistake(key, "must be a text in quotes");
    return value;
}

std::vector<std::string> Section::texts(std::string_view key) const
{
    const auto* node = table_->get(key);
    const auto* list = node == nullptr ? nullptr : node->as_array();
    std::vector<std::string> out;
    if (list == nullptr) {
        if (auto one = text(key); one && !one->empty()) out.push_back(*one);
        return out;
    }
    for (const auto& element : *list) {
        auto one = element.value_exact<std::string>();
        if (one && !one->empty())
            out.push_back(*one);
        else
            findings_->mistake(line_of(element),
                               full(key) + " must be a text, or an array of texts");
    }
    return out;
}

std::optional<base::Duration> Section::duration(std::string_view key) const
{
    auto value = text(key);
    if (!value) return std::nullopt;
    auto parsed = base::parse_duration(*value);
    if (parsed && parsed->count() > 0) return parsed;
    mistake(key, R"(must be a duration such as "15m" or "10s")");
    return std::nullopt;
}

std::optional<double> Section::share(std::string_view key) const
{
    auto value = text(key);
    if (!value) return std::nullopt;
    int percent = 0;
    const char* last = value->data() + value->size();
    auto [end, error] = std::from_chars(value->data(), last, percent);
    bool sign = error == std::errc{} && end + 1 == last && *end == '%';
    if (sign && percent >= 1 && percent <= 100) return percent / 100.0;
    mistake(key, R"(must be a share such as "50%", from 1 % to 100 %)");
    return std::nullopt;
}

std::optional<std::int64_t> Section::number(std::string_view key, std::int64_t least,
                                            std::int64_t most) const
{
    const auto* node = table_->get(key);
    if (node == nullptr) return std::nullopt;
    auto value = node->value_exact<std::int64_t>();
    if (value && *value >= least && *value <= most) return value;
    mistake(key, fmt::format("must be a whole number from {} to {}", least, most));
    return std::nullopt;
}

std::optional<Section> Section::table(std::string_view key) const
{
    const auto* node = table_->get(key);
    if (node == nullptr) return std::nullopt;
    if (const auto* found = node->as_table()) return Section(*found, full(key), *findings_);
    mistake(key, "must be a table");
    return std::nullopt;
}

std::vector<std::pair<std::string, Section>> Section::tables(std::string_view key) const
{
    std::vector<std::pair<std::string, Section>> out;
    auto outer = table(key);
    if (!outer) return out;
    for (const auto& [name, node] : *outer->table_) {
        if (auto inner = outer->table(name.str())) out.emplace_back(name.str(), *inner);
    }
    return out;
}

std::vector<Section> Section::list(std::string_view key) const
{
    std::vector<Section> out;
    const auto* node = table_->get(key);
    if (node == nullptr) return out;
    const auto* elements = node->as_array();
    if (elements == nullptr) {
        mistake(key, fmt::format("must be an array of tables: [[{}]]", full(key)));
        return out;
    }
    for (const auto& element : *elements) {
        if (const auto* entry = element.as_table())
            out.emplace_back(*entry, full(key), *findings_);
        else
            findings_->mistake(line_of(element), full(key) + " must be an array of tables");
    }
    return out;
}

std::vector<std::string> Section::command(std::string_view key) const
{
    std::vector<std::string> out;
    const auto* node = table_->get(key);
    if (node == nullptr) return out;
    const auto* list = node->as_array();
    bool good = list != nullptr && !list->empty();
    for (std::size_t i = 0; good && i < list->size(); ++i) {
        auto word = (*list)[i].value_exact<std::string>();
        good = word && (i > 0 || word->starts_with('/'));
        if (good) out.push_back(*word);
    }
    if (good) return out;
    mistake(key, "must be an array of texts, first the absolute path of a program");
    return {};
}

} // namespace tidemark::app
