#include "app/cli/commands.h"
#include "app/cli/table.h"
#include "base/host.h"
#include "base/log.h"
#include "job/expire.h"
#include "repo/holds.h"

#include <charconv>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace tidemark::app {

using base::Code;
using base::Error;
using nlohmann::json;

namespace {

/// A column of what stays or goes; why is the last cell.
class FateTable {
public:
    FateTable(Environment& environment, json& list) : environment_(environment), list_(list) {}

    void add(const std::string& id, const model::Fate& fate)
    {
        list_.push_back({{"id", id}, {"stays", fate.stays}, {"why", fate.why}});
        ++(fate.stays ? stay_ : go_);
        table_.row({id, fate.stays ? "stays" : "goes", fate.why});
    }
    void count(const model::Fate& fate) { ++(fate.stays ? stay_ : go_); }
    void print(const std::string& title)
    {
        environment_.output().text(
            fmt::format("{}: {} stay, {} go\n{}\n", title, stay_, go_, table_.render(2)));
    }
    void print_counts(const std::string& title)
    {
        environment_.output().text(fmt::format("{}: {} stay, {} go\n", title, stay_, go_));
    }

private:
    Environment& environment_;
    json& list_;
    Table table_{{"WHAT", "", "WHY"}};
    std::size_t stay_ = 0;
    std::size_t go_ = 0;
};

/// Every set, mark and base backup with its reason; runs, drills and log in sums.
void describe_plan(Environment& environment, const model::RetentionPlan& plan)
{
    auto& document = environment.output().document();
    auto numbered = [&](const char* title, const char* prefix, const auto& fates) {
        FateTable table(environment, document[title] = json::array());
        for (const auto& [number, fate] : fates)
            table.add(fmt::format("{}{}", prefix, number), fate);
        table.print(title);
    };
    numbered("sets", "s-", plan.sets);
    numbered("marks", "m-", plan.marks);
    FateTable backups(environment, document["backups"] = json::array());
    for (const auto& [name, member] : plan.members)
        for (const auto& [number, fate] : member.backups)
            backups.add(fmt::format("{}/b-{}", name, number), fate);
    backups.print("backups");
    auto& log = document["log"] = json::array();
    for (const auto& [name, member] : plan.members) {
        json unused;
        FateTable pieces(environment, unused);
        std::size_t stay = 0;
        for (const auto& [key, fate] : member.pieces) {
            pieces.count(fate);
            stay += fate.stays ? 1 : 0;
        }
        log.push_back({{"member", name}, {"stay", stay}, {"go", member.pieces.size() - stay}});
        pieces.print_counts("log pieces of " + name);
    }
    auto events = [&](const char* title, const auto& fates) {
        std::size_t stay = 0;
        for (const auto& [number, fate] : fates)
            stay += fate.stays ? 1 : 0;
        document[title] = {{"stay", stay}, {"go", fates.size() - stay}};
        environment.output().text(
            fmt::format("{}: {} stay, {} go\n", title, stay, fates.size() - stay));
    };
    events("runs", plan.runs);
    events("drills", plan.drills);
}

void describe_work(Environment& environment, const job::ExpireReport& report)
{
    auto& document = environment.output().document();
    document["removed"] = report.removed;
    document["removed_bytes"] = report.removed_bytes;
    document["joined"] = report.joined;
    document["joined_into"] = report.made;
    document["waiting"] = report.waiting;
    document["next"] = report.next ? json(base::format_time(*report.next)) : json(nullptr);
    environment.output().text(fmt::format("{} objects removed ({}); {} log pieces joined into {}\n",
                                          report.removed, base::format_size(report.removed_bytes),
                                          report.joined, report.made));
    if (report.next)
        environment.output().text(
            fmt::format("{} more objects are marked to go; an expire after {} removes them\n",
                        report.waiting, base::format_time_human(*report.next)));
}

/// The mark that an id of a mark or a set means.
model::Number held_mark(Environment& environment, const std::string& id)
{
    auto& storage = environment.repository().storage();
    const auto& group = environment.group().name;
    if (!id.starts_with("s-")) return repo::Marks(storage, group).need(id).number();
    model::Number number = 0;
    auto [end, error] = std::from_chars(id.data() + 2, id.data() + id.size(), number);
    std::optional<repo::StoredSet> set;
    if (error == std::errc{} && end == id.data() + id.size())
        set = repo::Sets(storage, group).load(number);
    if (!set)
        throw Error{Code::usage,
                    fmt::format("group {} has no set \"{}\"", group, id),
                    {.hint = "`tidemark list sets` shows those there are"}};
    return set->value.mark;
}

std::optional<base::Time> parse_until(Environment& environment)
{
    const auto& text = environment.options().until;
    if (text.empty()) return std::nullopt;
    auto until = base::parse_time(text);
    if (until && *until > environment.clock().now()) return until;
    throw Error{Code::usage,
                fmt::format("--until \"{}\" is not a time to come", text),
                {.hint = "write it as 2027-01-31 or 2027-01-31T12:00:00Z"}};
}

std::string until_text(const model::Hold& hold)
{
    return hold.until ? "until " + base::format_time_human(*hold.until) : "until it is released";
}

json until_json(const model::Hold& hold)
{
    return hold.until ? json(base::format_time(*hold.until)) : json(nullptr);
}

/// A new generation took the place of damaged ones: retention goes by it from now on.
void warn_of_lost_holds(Environment& environment, const repo::Unreadable& unreadable)
{
    warn_of_unreadable(environment, unreadable);
    if (!unreadable.empty())
        environment.progress().warn(
            "what was held or released there is lost: look at `tidemark list holds`, and say "
            "`tidemark hold` again now for each mark that is missing; the next expire goes by it");
}

} // namespace

int run_expire(Environment& environment)
{
    if (!environment.configured())
        throw Error{Code::usage,
                    "expire needs the configuration: how long the group is kept stands there",
                    {.hint = "name one with --config FILE"}};
    if (environment.options().plan) {
        auto report = job::expire(environment.context(), {.plan_only = true});
        describe_plan(environment, report.survey.plan);
        auto objects = report.survey.commits.size() + report.survey.data.size();
        environment.output().document()["objects"] = objects;
        environment.output().document()["bytes"] = report.survey.bytes;
        environment.output().text(fmt::format("{} objects ({}) would go; nothing was changed\n",
                                              objects, base::format_size(report.survey.bytes)));
        return environment.done();
    }
    return recorded_run(environment, [&](model::Run&) {
        auto report = job::expire(environment.context(), {});
        describe_plan(environment, report.survey.plan);
        describe_work(environment, report);
        return environment.done();
    });
}

int run_hold(Environment& environment)
{
    model::Hold hold{.mark = held_mark(environment, environment.options().subject),
                     .note = environment.options().note,
                     .by = base::host_name(),
                     .since = environment.clock().now(),
                     .until = parse_until(environment)};
    repo::Unreadable unreadable;
    auto before = repo::HoldBook(environment.repository().storage(), environment.group().name)
                      .hold(hold, &unreadable);
    warn_of_lost_holds(environment, unreadable);
    auto& document = environment.output().document();
    document["mark"] = repo::mark_id(hold.mark);
    document["until"] = until_json(hold);
    document["instead_of"] = nullptr;
    environment.output().text(fmt::format("mark {} is held with everything a restore to it needs, "
                                          "{}\n",
                                          repo::mark_id(hold.mark), until_text(hold)));
    if (!before) return environment.done();
    document["instead_of"] = {{"since", base::format_time(before->since)},
                              {"until", until_json(*before)},
                              {"by", before->by},
                              {"note", before->note}};
    environment.output().text(
        fmt::format("instead of: {}, by {} since {}{}\n", until_text(*before), before->by,
                    base::format_time_human(before->since),
                    before->note.empty() ? "" : ": " + base::escape_controls(before->note)));
    return environment.done();
}

int run_release(Environment& environment)
{
    auto mark = held_mark(environment, environment.options().subject);
    repo::HoldBook book(environment.repository().storage(), environment.group().name);
    repo::Unreadable unreadable;
    bool released = book.release(mark, &unreadable);
    warn_of_lost_holds(environment, unreadable);
    if (!released)
        throw Error{Code::usage,
                    fmt::format("mark {} is not held", repo::mark_id(mark)),
                    {.hint = "`tidemark list holds` shows those that are"}};
    environment.output().document()["mark"] = repo::mark_id(mark);
    environment.output().text(
        fmt::format("mark {} is released; retention decides again\n", repo::mark_id(mark)));
    return environment.done();
}

void list_holds(Environment& environment)
{
    Table table({"MARK", "SINCE", "UNTIL", "BY", "NOTE"});
    auto& list = environment.output().document()["holds"] = json::array();
    auto now = environment.clock().now();
    repo::Unreadable unreadable;
    repo::HoldBook book(environment.repository().storage(), environment.group().name);
    auto holds = book.holds(&unreadable);
    warn_of_unreadable(environment, unreadable);
    for (const auto& hold : holds) {
        std::string until = hold.until ? base::format_time_human(*hold.until) : "released";
        table.row({repo::mark_id(hold.mark), base::format_time_human(hold.since),
                   hold.in_force(now) ? until : until + " (over)", hold.by, hold.note});
        list.push_back({{"mark", repo::mark_id(hold.mark)},
                        {"since", base::format_time(hold.since)},
                        {"until", until_json(hold)},
                        {"by", hold.by},
                        {"note", hold.note},
                        {"in_force", hold.in_force(now)}});
    }
    environment.output().text(table.render());
}

} // namespace tidemark::app
