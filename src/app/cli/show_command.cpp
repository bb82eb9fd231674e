#include "app/cli/commands.h"
#include "app/cli/describe.h"
#include "app/cli/drill_report.h"
#include "base/error.h"
#include "repo/drills.h"
#include "repo/holds.h"

#include <charconv>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace tidemark::app {

using base::Code;
using base::Error;
using nlohmann::json;

namespace {

std::optional<model::Number> number_after(std::string_view text, std::string_view prefix)
{
    if (!text.starts_with(prefix)) return std::nullopt;
    text.remove_prefix(prefix.size());
    model::Number number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size() || number == 0)
        return std::nullopt;
    return number;
}

/// Each member has a backup of that number.
void refuse_bare_backup(Environment& environment, const std::string& id)
{
    if (!number_after(id, "b-")) return;
    std::string names;
    for (const auto& member : environment.group().members)
        names += fmt::format("{}{}/{}", names.empty() ? "" : ", ", member.name, id);
    throw Error{Code::usage,
                id + " is a backup of one member, and each member has its own",
                {.hint = "name the member, too: " + names}};
}

[[noreturn]] void throw_unknown(const std::string& id)
{
    throw Error{
        Code::usage,
        "there is no " + id,
        {.hint =
             "tidemark list marks|backups|sets|runs|drills|holds|restores shows what there is"}};
}

/// A stored JSON object, as it lies in the repository.
json stored_json(Environment& environment, const std::string& key)
{
    auto bytes = store::get(environment.repository().storage(), key, 64U << 20);
    if (!bytes) throw_unknown(key);
    return json::parse(base::as_text(*bytes));
}

int show_drill(Environment& environment, model::Number number)
{
    auto found =
        repo::Drills(environment.repository().storage(), environment.group().name).load(number);
    if (!found) throw_unknown(repo::drill_id(number));
    environment.output().document()["drill"] = drill_json(found->value, number);
    environment.output().text(drill_text(found->value, number));
    if (const auto& file = environment.options().report)
        write_drill_report(std::filesystem::absolute(*file), found->value, number);
    return 0;
}

} // namespace

int run_show(Environment& environment)
{
    const auto& id = environment.options().subject;
    auto& output = environment.output();
    const auto& group = environment.group().name;
    auto& storage = environment.repository().storage();
    if (auto set = number_after(id, "s-")) {
        auto found = repo::Sets(storage, group).load(*set);
        if (!found) throw_unknown(id);
        output.document()["set"] = stored_json(environment, found->object.key);
        output.text(set_text(*found));
        return 0;
    }
    if (auto slash = id.find('/'); slash != std::string::npos) {
        auto number = number_after(std::string_view(id).substr(slash + 1), "b-");
        if (!number) throw_unknown(id);
        auto found =
            repo::Backups(storage, {.group = group, .member = id.substr(0, slash)}).load(*number);
        if (!found) throw_unknown(id);
        output.document()["backup"] = stored_json(environment, found->object.key);
        output.text(backup_text(*found));
        return 0;
    }
    if (auto number = number_after(id, "run-")) {
        for (const auto& run : repo::Runs(storage, group).list()) {
            if (run.number() != *number) continue;
            output.document()["run"] = stored_json(environment, run.object.key);
            output.text(run_text(run));
            return 0;
        }
        throw_unknown(id);
    }
    if (auto number = number_after(id, "drill-")) return show_drill(environment, *number);
    repo::Marks marks(storage, group);
    if (!marks.find(repo::parse_mark_selector(id))) refuse_bare_backup(environment, id);
    auto mark = marks.need(id);
    output.document()["mark"] = stored_json(environment, mark.object.key);
    output.text(mark_text(mark));
    auto proofs = repo::Drills(storage, group).proofs();
    auto proof = proofs.by_mark.find(mark.number());
    bool proven = proof != proofs.by_mark.end();
    output.document()["proven"] = proven ? proof_json(proof->second) : json(nullptr);
    output.text(proven ? "proven " + proof_text(proof->second, environment.clock().now()) + "\n"
                       : "not proven: no drill or restore brought it up\n");
    for (const auto& hold : repo::HoldBook(storage, group).holds()) {
        if (hold.mark != mark.number()) continue;
        output.document()["hold"] = {{"note", hold.note}, {"by", hold.by}};
        output.text(fmt::format("held by {} since {}{}{}\n", hold.by,
                                base::format_time_human(hold.since),
                                hold.until ? " until " + base::format_time_human(*hold.until) : "",
                                hold.note.empty() ? "" : ": " + hold.note));
    }
    return 0;
}

} // namespace tidemark::app
