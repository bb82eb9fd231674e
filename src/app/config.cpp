#include "app/config.h"

#include "base/error.h"
#include "model/ids.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fmt/format.h>
#include <fstream>
#include <initializer_list>
#include <regex>
#include <set>
#include <sstream>
#include <toml++/toml.h>

namespace tidemark::app {

using base::Code;
using base::Error;

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

/// What a table may hold. Keys in `later` are accepted and reported by `check` as not active.
struct Keys {
    std::vector<std::string_view> known;
    std::vector<std::string_view> later;
};

class Reader {
public:
    Reader(std::filesystem::path path, Config& out) : path_(std::move(path)), out_(out) {}

    void read(const toml::table& root)
    {
        check_keys(root, "", {{"repository", "group"}, {"notify"}});
        if (const auto* repositories = table(root, "repository", "")) {
            for (const auto& [name, node] : *repositories) {
                if (const auto* entry = node.as_table())
                    read_repository(std::string(name.str()), *entry);
                else
                    mistake(node, fmt::format("repository.{} must be a table", name.str()));
            }
        }
        if (const auto* groups = table(root, "group", "")) {
            for (const auto& [name, node] : *groups) {
                if (const auto* entry = node.as_table())
                    read_group(std::string(name.str()), *entry);
                else
                    mistake(node, fmt::format("group.{} must be a table", name.str()));
            }
        }
    }

    void finish()
    {
        if (mistakes_.empty()) return;
        std::sort(mistakes_.begin(), mistakes_.end());
        std::string all;
        for (const auto& [line, text] : mistakes_) {
            if (!all.empty()) all += '\n';
            all += text;
        }
        throw Error{
            Code::usage, all, {.hint = "correct the configuration file and run the command again"}};
    }

private:
    void read_repository(const std::string& name, const toml::table& entry)
    {
        const std::string where = "repository." + name;
        check_keys(entry, where, {{"url", "compression"}, {"key", "lock_days"}});
        model::RepositorySpec spec;
        spec.name = name;
        spec.url = text(entry, "url", where).value_or("");
        if (spec.url.empty()) mistake(entry, where + " needs a url");
        if (auto level = text(entry, "compression", where)) {
            if (*level == "none")
                spec.compression_level = 0;
            else if (auto parsed = zstd_level(*level))
                spec.compression_level = *parsed;
            else
                mistake(*entry.get("compression"),
                        where + R"(.compression must be "none" or "zstd:LEVEL" with -5 to 19)");
        }
        out_.repositories.push_back(std::move(spec));
    }

    static std::optional<int> zstd_level(std::string_view text)
    {
        if (text == "zstd") return model::RepositorySpec{}.compression_level;
        if (!text.starts_with("zstd:")) return std::nullopt;
        text.remove_prefix(5);
        int level = 0;
        auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), level);
        if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
        if (level < -5 || level > 19 || level == 0) return std::nullopt;
        return level;
    }

    void read_group(const std::string& name, const toml::table& entry)
    {
        const std::string where = "group." + name;
        check_keys(entry, where,
                   {{"member", "mark", "rate", "repository", "full", "zone", "keep", "log_guard",
                     "on_failure", "objective"},
                    {"incr", "before_open", "after_open", "notify"}});
        model::GroupSpec spec;
        spec.name = name;
        if (!model::is_valid_name(name))
            mistake(
                entry,
                fmt::format("group name '{}' must match [a-z0-9][a-z0-9_-]*, at most 63 characters",
                            name));
        if (auto value = text(entry, "repository", where)) spec.repository = *value;
        if (auto value = text(entry, "incr", where)) spec.incr = *value;
        read_schedule(entry, where, spec);
        read_log_guard(entry, where, spec);
        read_hook(entry, "on_failure", where, spec.on_failure);
        read_mark(entry, where, spec);
        read_keep(entry, where, spec);
        read_objective(entry, where, spec);
        if (auto value = text(entry, "rate", where)) {
            if (auto rate = parse_rate(*value))
                spec.bytes_per_second = *rate;
            else
                mistake(*entry.get("rate"),
                        where + R"(.rate must be bytes per second such as "50M" or "0")");
        }
        if (const auto* node = entry.get("member")) read_members(*node, where, spec);
        if (spec.members.empty()) mistake(entry, where + " has no [[" + where + ".member]]");
        out_.groups.push_back(std::move(spec));
    }

    void read_schedule(const toml::table& entry, const std::string& where, model::GroupSpec& spec)
    {
        if (auto value = text(entry, "full", where)) {
            if (auto schedule = model::parse_schedule(*value))
                spec.full = *schedule;
            else
                mistake(*entry.get("full"),
                        where + R"(.full must be "hourly :MM", "daily HH:MM", "weekly Sun HH:MM", )"
                                R"("monthly D HH:MM", "yearly MM-DD HH:MM" or "off")");
        }
        if (auto value = text(entry, "zone", where)) {
            spec.zone = *value;
            try {
                base::TimeZone::find(*value);
            } catch (const Error& error) {
                mistake(*entry.get("zone"), fmt::format("{}.zone: {}", where, error.what()));
            }
        }
    }

    void read_log_guard(const toml::table& entry, const std::string& group, model::GroupSpec& spec)
    {
        const auto* guard = table(entry, "log_guard", group);
        if (guard == nullptr) return;
        const std::string where = group + ".log_guard";
        check_keys(*guard, where, {{"warn", "drop"}, {}});
        auto& policy = spec.log_guard;
        if (auto value = text(*guard, "warn", where))
            policy.warn = share(*guard->get("warn"), *value, where + ".warn").value_or(policy.warn);
        if (auto value = text(*guard, "drop", where)) {
            policy.drop = *value == "never" ? std::nullopt
                                            : share(*guard->get("drop"), *value, where + ".drop");
        }
        if (policy.drop && *policy.drop < policy.warn)
            mistake(*guard, where + ".drop must not be below " + where + ".warn");
    }

    std::optional<double> share(const toml::node& node, std::string_view value,
                                const std::string& where)
    {
        int percent = 0;
        auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), percent);
        bool sign = error == std::errc{} && end + 1 == value.data() + value.size() && *end == '%';
        if (sign && percent >= 1 && percent <= 100) return percent / 100.0;
        mistake(node, where + R"( must be a share such as "50%", from 1 % to 100 %)");
        return std::nullopt;
    }

    /// A program and its arguments; there is no shell.
    void read_hook(const toml::table& entry, std::string_view key, const std::string& group,
                   std::vector<std::string>& into)
    {
        const auto* node = entry.get(key);
        if (node == nullptr) return;
        const auto* list = node->as_array();
        bool good = list != nullptr && !list->empty();
        for (std::size_t i = 0; good && i < list->size(); ++i) {
            auto word = (*list)[i].value_exact<std::string>();
            good = word && (i > 0 || word->starts_with('/'));
            if (good) into.push_back(*word);
        }
        if (!good)
            mistake(*node, fmt::format("{}.{} must be an array of texts, first the absolute path "
                                       "of a program",
                                       group, key));
    }

    static std::optional<std::uint64_t> parse_rate(std::string_view text)
    {
        std::uint64_t value = 0;
        auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc{} || value > 1'000'000'000'000) return std::nullopt;
        std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
        if (unit.empty()) return value;
        if (unit == "K" || unit == "k") return value << 10;
        if (unit == "M") return value << 20;
        if (unit == "G") return value << 30;
        return std::nullopt;
    }

    void read_mark(const toml::table& entry, const std::string& group, model::GroupSpec& spec)
    {
        const auto* mark = table(entry, "mark", group);
        if (mark == nullptr) return;
        const std::string where = group + ".mark";
        check_keys(*mark, where, {{"wait", "prefix", "every"}, {}});
        duration(*mark, "every", where, spec.mark_every);
        duration(*mark, "wait", where, spec.mark_wait);
        if (auto value = text(*mark, "prefix", where)) {
            spec.mark_prefix = *value;
            if (value->size() > 20 || !std::all_of(value->begin(), value->end(), [](char c) {
                    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
                })) {
                mistake(*mark->get("prefix"),
                        where + ".prefix may hold 20 letters, digits, '-' and '_'");
            }
        }
    }

    void read_keep(const toml::table& entry, const std::string& group, model::GroupSpec& spec)
    {
        const auto* keep = table(entry, "keep", group);
        if (keep == nullptr) return;
        check_keys(*keep, group + ".keep", {{"days", "weekly", "monthly", "yearly"}, {}});
        if (const auto* node = keep->get("days")) {
            auto days = node->value<std::int64_t>();
            if (!days || *days < 0 || *days > 36500)
                mistake(*node, group + ".keep.days must be a whole number of days");
            else
                spec.keep_days = static_cast<int>(*days);
        }
    }

    void read_objective(const toml::table& entry, const std::string& group, model::GroupSpec& spec)
    {
        const auto* objective = table(entry, "objective", group);
        if (objective == nullptr) return;
        const std::string where = group + ".objective";
        check_keys(*objective, where, {{"lose_at_most", "restore_within", "drill_every"}, {}});
        auto read = [&](std::string_view key, std::optional<base::Duration>& into) {
            if (objective->get(key) == nullptr) return;
            base::Duration value{};
            duration(*objective, key, where, value);
            into = value;
        };
        read("lose_at_most", spec.objective.lose_at_most);
        read("restore_within", spec.objective.restore_within);
        read("drill_every", spec.objective.drill_every);
    }

    void read_members(const toml::node& node, const std::string& group, model::GroupSpec& spec)
    {
        const auto* members = node.as_array();
        if (members == nullptr) {
            mistake(node, group + ".member must be an array of tables: [[" + group + ".member]]");
            return;
        }
        std::set<std::string> names;
        for (const auto& element : *members) {
            const auto* entry = element.as_table();
            if (entry == nullptr) {
                mistake(element, group + ".member must be an array of tables");
                continue;
            }
            const std::string where = group + ".member";
            check_keys(*entry, where,
                       {{"name", "url", "data_dir", "gid_pattern"}, {"backup_from", "decision"}});
            model::MemberSpec member;
            member.name = text(*entry, "name", where).value_or("");
            member.url = text(*entry, "url", where).value_or("");
            if (member.name.empty())
                mistake(*entry, where + " needs a name");
            else if (!model::is_valid_name(member.name))
                mistake(
                    *entry->get("name"),
                    fmt::format(
                        "member name '{}' must match [a-z0-9][a-z0-9_-]*, at most 63 characters",
                        member.name));
            if (member.url.empty()) mistake(*entry, where + " needs a url");
            if (!member.name.empty() && !names.insert(member.name).second)
                mistake(*entry->get("name"),
                        fmt::format("{} has two members named {}", group, member.name));
            if (auto value = text(*entry, "data_dir", where)) {
                member.data_dir = *value;
                if (!member.data_dir->is_absolute())
                    mistake(*entry->get("data_dir"), where + ".data_dir must be an absolute path");
            }
            if (auto value = text(*entry, "gid_pattern", where)) {
                member.gid_pattern = *value;
                check_pattern(*entry->get("gid_pattern"), *value, where);
            }
            spec.members.push_back(std::move(member));
        }
    }

    void check_pattern(const toml::node& node, const std::string& value, const std::string& where)
    {
        if (value == "identical") return;
        if (!value.starts_with("regex:")) {
            mistake(node,
                    where + R"(.gid_pattern must be "identical" or "regex:..." with one capture)");
            return;
        }
        try {
            std::regex pattern(value.substr(6));
            if (pattern.mark_count() != 1)
                mistake(node, where + ".gid_pattern needs exactly one capture, the global id");
        } catch (const std::regex_error& error) {
            mistake(node, fmt::format("{}.gid_pattern is not a regular expression: {}", where,
                                      error.what()));
        }
    }

    const toml::table* table(const toml::table& in, std::string_view key, const std::string& where)
    {
        const auto* node = in.get(key);
        if (node == nullptr) return nullptr;
        if (const auto* found = node->as_table()) return found;
        mistake(*node, fmt::format("{}{}{} must be a table", where, where.empty() ? "" : ".", key));
        return nullptr;
    }

    std::optional<std::string> text(const toml::table& in, std::string_view key,
                                    const std::string& where)
    {
        const auto* node = in.get(key);
        if (node == nullptr) return std::nullopt;
        auto value = node->value_exact<std::string>();
        if (!value) mistake(*node, fmt::format("{}.{} must be a text in quotes", where, key));
        return value;
    }

    void duration(const toml::table& in, std::string_view key, const std::string& where,
                  base::Duration& into)
    {
        auto value = text(in, key, where);
        if (!value) return;
        auto parsed = base::parse_duration(*value);
        if (!parsed || parsed->count() <= 0)
            mistake(*in.get(key),
                    fmt::format(R"({}.{} must be a duration such as "15m" or "10s")", where, key));
        else
            into = *parsed;
    }

    void check_keys(const toml::table& in, const std::string& where, const Keys& keys)
    {
        for (const auto& [key, node] : in) {
            std::string_view name = key.str();
            if (std::find(keys.known.begin(), keys.known.end(), name) != keys.known.end()) continue;
            std::string full =
                where.empty() ? std::string(name) : fmt::format("{}.{}", where, name);
            if (std::find(keys.later.begin(), keys.later.end(), name) != keys.later.end()) {
                out_.inactive.push_back(full);
                continue;
            }
            std::string nearest;
            std::size_t best = name.size() / 2 + 2;
            for (const auto* list : {&keys.known, &keys.later}) {
                for (auto candidate : *list) {
                    if (auto d = distance(name, candidate); d < best) {
                        best = d;
                        nearest = candidate;
                    }
                }
            }
            mistake(
                key.source().begin.line,
                fmt::format("unknown key {}{}", full,
                            nearest.empty() ? "" : fmt::format(" (did you mean {}?)", nearest)));
        }
    }

    void mistake(const toml::node& node, const std::string& what)
    {
        mistake(node.source().begin.line, what);
    }

    void mistake(unsigned line, const std::string& what)
    {
        mistakes_.emplace_back(line, fmt::format("{}:{}: {}", path_.string(), line, what));
    }

    std::filesystem::path path_;
    Config& out_;
    std::vector<std::pair<unsigned, std::string>> mistakes_;
};

std::string quoted_toml(std::string_view text)
{
    std::string out = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

} // namespace

const model::RepositorySpec* Config::repository(std::string_view name) const
{
    for (const auto& entry : repositories) {
        if (entry.name == name) return &entry;
    }
    return nullptr;
}

const model::GroupSpec* Config::group(std::string_view name) const
{
    for (const auto& entry : groups) {
        if (entry.name == name) return &entry;
    }
    return nullptr;
}

Config parse_config(std::string_view text, const std::filesystem::path& path)
{
    Config config;
    config.path = path;
    toml::table root;
    try {
        root = toml::parse(text, path.string());
    } catch (const toml::parse_error& error) {
        throw Error{
            Code::usage,
            fmt::format("{}:{}: {}", path.string(), error.source().begin.line, error.description()),
            {.hint = "correct the configuration file and run the command again"}};
    }
    Reader reader(path, config);
    reader.read(root);
    reader.finish();
    for (const auto& group : config.groups) {
        if (config.repository(group.repository) == nullptr) {
            throw Error{Code::usage, fmt::format("{}: group.{} needs [repository.{}]",
                                                 path.string(), group.name, group.repository)};
        }
    }
    return config;
}

Config load_config(const std::filesystem::path& path)
{
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        throw Error{Code::usage,
                    fmt::format("cannot read the configuration file {}", path.string()),
                    {.hint = "name another with --config FILE, or make one with tidemark init"}};
    }
    std::ostringstream text;
    text << file.rdbuf();
    return parse_config(text.str(), path);
}

std::optional<std::filesystem::path> find_config()
{
    if (const char* named = std::getenv("TIDEMARK_CONFIG"); named != nullptr && *named != '\0')
        return named;
    for (const char* candidate : {"tidemark.toml", "/etc/tidemark/tidemark.toml"}) {
        std::error_code ignored;
        if (std::filesystem::exists(candidate, ignored)) return candidate;
    }
    return std::nullopt;
}

std::string render_config(const model::RepositorySpec& repository, const model::GroupSpec& group)
{
    std::string out =
        "# Written by tidemark init. Every key is described in docs/guide/configuration.md.\n\n";
    out +=
        fmt::format("[repository.{}]\nurl = {}\n\n", repository.name, quoted_toml(repository.url));
    out += fmt::format("[group.{}]\n", group.name);
    out += fmt::format("mark = {{ every = \"15m\", wait = \"10s\" }}\nkeep = {{ days = {} }}\n",
                       group.keep_days);
    for (const auto& member : group.members) {
        out += fmt::format("\n[[group.{}.member]]\nname = {}\nurl  = {}\n", group.name,
                           quoted_toml(member.name), quoted_toml(member.url));
        if (member.data_dir)
            out += fmt::format("data_dir = {}\n", quoted_toml(member.data_dir->string()));
        if (member.gid_pattern != "identical")
            out += fmt::format("gid_pattern = {}\n", quoted_toml(member.gid_pattern));
    }
    return out;
}

} // namespace tidemark::app
