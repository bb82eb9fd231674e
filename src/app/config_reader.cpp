#include "app/config_reader.h"

#include "app/url_rules.h"
#include "base/error.h"
#include "base/time_zone.h"
#include "model/decision_table.h"
#include "model/gid_pattern.h"
#include "model/ids.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <fmt/format.h>
#include <set>

namespace tidemark::app {

namespace {

/// Bytes per second: "50M"; 0 is no limit.
std::optional<std::uint64_t> parse_rate(std::string_view text)
{
    constexpr std::uint64_t kMost = 1ULL << 40; // one that large is a slip of the pen
    std::uint64_t value = 0;
    const char* last = text.end();
    auto [end, error] = std::from_chars(text.begin(), last, value);
    if (error != std::errc{}) return std::nullopt;
    std::string_view unit(end, static_cast<std::size_t>(last - end));
    unsigned shift = 0;
    if (unit == "K" || unit == "k")
        shift = 10;
    else if (unit == "M")
        shift = 20;
    else if (unit == "G")
        shift = 30;
    else if (!unit.empty())
        return std::nullopt;
    if (value > kMost >> shift) return std::nullopt;
    return value << shift;
}

std::optional<int> zstd_level(std::string_view text)
{
    if (text == "none") return 0;
    if (text == "zstd") return model::RepositorySpec{}.compression_level;
    if (!text.starts_with("zstd:")) return std::nullopt;
    text.remove_prefix(5);
    int level = 0;
    const char* last = text.end();
    auto [end, error] = std::from_chars(text.begin(), last, level);
    if (error != std::errc{} || end != last || level < -5 || level > 19 || level == 0)
        return std::nullopt;
    return level;
}

void read_schedule(const Section& entry, model::GroupSpec& spec)
{
    if (auto value = entry.text("full")) {
        if (auto schedule = model::parse_schedule(*value))
            spec.full = *schedule;
        else
            entry.mistake("full", R"(must be "hourly :MM", "daily HH:MM", "weekly Sun HH:MM", )"
                                  R"("monthly D HH:MM", "yearly MM-DD HH:MM" or "off")");
    }
    if (auto value = entry.text("zone")) {
        spec.zone = *value;
        try {
            base::TimeZone::find(*value);
        } catch (const base::Error& error) {
            entry.mistake("zone", fmt::format("is not usable: {}", error.what()));
        }
    }
}

void read_log_guard(const Section& entry, model::GroupSpec& spec)
{
    auto guard = entry.table("log_guard");
    if (!guard) return;
    guard->allow({{"warn", "drop"}, {}});
    auto& policy = spec.log_guard;
    policy.warn = guard->share("warn").value_or(policy.warn);
    if (guard->has("drop")) {
        bool never = guard->text("drop") == "never";
        policy.drop = never ? std::nullopt : guard->share("drop");
    }
    if (policy.drop && *policy.drop < policy.warn)
        guard->mistake("drop", "must not be below " + guard->name() + ".warn");
}

void read_mark(const Section& entry, model::GroupSpec& spec)
{
    auto mark = entry.table("mark");
    if (!mark) return;
    mark->allow({{"wait", "prefix", "every"}, {}});
    spec.mark_every = mark->duration("every").value_or(spec.mark_every);
    spec.mark_wait = mark->duration("wait").value_or(spec.mark_wait);
    auto prefix = mark->text("prefix");
    if (!prefix) return;
    spec.mark_prefix = *prefix;
    bool plain = std::all_of(prefix->begin(), prefix->end(), [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
    });
    if (!plain || prefix->size() > 20)
        mark->mistake("prefix", "may hold 20 letters, digits, '-' and '_'");
}

void read_keep(const Section& entry, model::GroupSpec& spec)
{
    auto keep = entry.table("keep");
    if (!keep) return;
    keep->allow({{"days"}, {"weekly", "monthly", "yearly"}});
    if (auto days = keep->number("days", 0, 36500)) spec.keep_days = static_cast<int>(*days);
}

void read_objective(const Section& entry, model::GroupSpec& spec)
{
    auto objective = entry.table("objective");
    if (!objective) return;
    objective->allow({{"lose_at_most", "restore_within", "drill_every"}, {}});
    spec.objective.lose_at_most = objective->duration("lose_at_most");
    spec.objective.restore_within = objective->duration("restore_within");
    spec.objective.drill_every = objective->duration("drill_every");
}

/// What no mark could be placed with is told before the first backup.
void check_pattern(const Section& entry, const std::string& value)
{
    try {
        model::GidPattern::parse(value);
    } catch (const base::Error& error) {
        entry.mistake("gid_pattern",
                      fmt::format("is refused: {}; {}", error.message(), error.hint()));
    }
}

model::MemberSpec read_member(const Section& entry)
{
    entry.allow({{"name", "url", "data_dir", "gid_pattern", "backup_from", "decision"}, {}});
    model::MemberSpec member;
    member.name = entry.text("name").value_or("");
    // Its servers, whichever of them is the primary.
    auto urls = entry.texts("url");
    if (!urls.empty()) {
        member.url = urls.front();
        member.more_urls.assign(urls.begin() + 1, urls.end());
    }
    if (member.name.empty())
        entry.mistake(entry.name() + " needs a name");
    else if (!model::is_valid_name(member.name))
        entry.mistake("name", fmt::format("'{}' must match [a-z0-9][a-z0-9_-]*, at most 63 "
                                          "characters",
                                          member.name));
    if (member.url.empty()) entry.mistake(entry.name() + " needs a url");
    for (const auto& url : urls) {
        if (auto problem = member_url_problem(url); !problem.empty()) entry.mistake("url", problem);
    }
    if (auto value = entry.text("data_dir")) {
        member.data_dir = *value;
        if (!member.data_dir->is_absolute()) entry.mistake("data_dir", "must be an absolute path");
    }
    member.backup_from = entry.text("backup_from");
    if (member.backup_from) {
        if (auto problem = member_url_problem(*member.backup_from); !problem.empty())
            entry.mistake("backup_from", problem);
    }
    if (auto value = entry.text("gid_pattern")) {
        member.gid_pattern = *value;
        check_pattern(entry, *value);
    }
    if (auto value = entry.text("decision")) {
        member.decision = *value;
        if (*value != model::kNoDecisionTable && !model::parse_table_column(*value))
            entry.mistake("decision", R"(must be "schema.table.column", or "none")");
    }
    return member;
}

} // namespace

model::RepositorySpec read_repository(const std::string& name, const Section& entry)
{
    entry.allow({{"url", "compression"}, {"key", "lock_days"}});
    model::RepositorySpec spec;
    spec.name = name;
    spec.url = entry.text("url").value_or("");
    if (spec.url.empty()) entry.mistake(entry.name() + " needs a url");
    if (auto problem = repository_url_problem(spec.url); !problem.empty())
        entry.mistake("url", problem);
    if (auto value = entry.text("compression")) {
        if (auto level = zstd_level(*value))
            spec.compression_level = *level;
        else
            entry.mistake("compression", R"(must be "none" or "zstd:LEVEL" with -5 to 19, not 0)");
    }
    return spec;
}

model::GroupSpec read_group(const std::string& name, const Section& entry)
{
    entry.allow({{"member", "mark", "rate", "repository", "full", "zone", "keep", "log_guard",
                  "on_failure", "objective"},
                 {"incr", "before_open", "after_open", "notify"}});
    model::GroupSpec spec;
    spec.name = name;
    if (!model::is_valid_name(name))
        entry.mistake(fmt::format(
            "group name '{}' must match [a-z0-9][a-z0-9_-]*, at most 63 characters", name));
    if (auto value = entry.text("repository")) spec.repository = *value;
    read_schedule(entry, spec);
    read_log_guard(entry, spec);
    spec.on_failure = entry.command("on_failure");
    read_mark(entry, spec);
    read_keep(entry, spec);
    read_objective(entry, spec);
    if (auto value = entry.text("rate")) {
        if (auto rate = parse_rate(*value))
            spec.bytes_per_second = *rate;
        else
            entry.mistake("rate",
                          R"(must be bytes per second such as "50M" or "0", at most "1024G")");
    }
    std::set<std::string> names;
    for (const Section& element : entry.list("member")) {
        auto member = read_member(element);
        if (!member.name.empty() && !names.insert(member.name).second)
            element.mistake("name",
                            fmt::format("{} stands twice in {}", member.name, entry.name()));
        spec.members.push_back(std::move(member));
    }
    if (spec.members.empty()) entry.mistake(fmt::format("{0} has no [[{0}.member]]", entry.name()));
    return spec;
}

} // namespace tidemark::app
