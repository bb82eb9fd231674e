#include "app/cli/describe.h"
#include "app/cli/table.h"
#include "base/error.h"
#include "base/log.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace tidemark::app {

namespace {

std::string stored_fact(std::string_view name, const std::string& value)
{
    return fmt::format("  {:<11} {}\n", name, base::escape_controls(value));
}

std::string stored_times(base::Time started, base::Time ended)
{
    return stored_fact("started", base::format_time_human(started)) +
           stored_fact("ended", fmt::format("{}, after {}", base::format_time_human(ended),
                                            base::format_duration(ended - started)));
}

std::string run_result(const model::Run& run)
{
    auto name = base::code_name(base::Code{run.exit_code});
    return fmt::format("exit {} ({}){}", run.exit_code, name,
                       run.broken_off ? ", broken off: nobody saw it end" : "");
}

} // namespace

std::string run_text(const repo::StoredRun& run)
{
    const auto& value = run.value;
    auto out = fmt::format("run-{} of group {}: tidemark {} on {}\n", run.number(), value.group,
                           base::escape_controls(value.command), base::escape_controls(value.host));
    out += stored_times(value.started, value.ended) + stored_fact("result", run_result(value));
    if (value.error) {
        out += stored_fact("error", fmt::format("{}: {}", value.error->code, value.error->message));
        if (!value.error->hint.empty()) out += stored_fact("next", value.error->hint);
    }
    if (value.mark) out += stored_fact("mark", repo::mark_id(*value.mark));
    if (value.set) out += stored_fact("set", fmt::format("s-{}", *value.set));
    if (value.retention)
        out += stored_fact("retention",
                           fmt::format("{} objects removed ({}), {} named to go; {} small "
                                       "log pieces joined",
                                       value.retention->removed,
                                       base::format_size(value.retention->removed_bytes),
                                       value.retention->waiting, value.retention->joined));
    for (const auto& warning : value.warnings)
        out += stored_fact("warning", warning);
    return out;
}

std::string set_text(const repo::StoredSet& set)
{
    const auto& value = set.value;
    auto out =
        fmt::format("set s-{} of group {}: {}, closed by mark {}\n", set.number(), value.group,
                    value.kind == model::SetKind::full ? "base backups and log" : "log",
                    repo::mark_id(value.mark)) +
        stored_times(value.started, value.ended);
    Table members({"MEMBER", "BASE BACKUP", "LOG PIECES", "LOG TO"});
    for (const auto& [name, member] : value.members) {
        members.row({name, member.backup ? name + "/" + backup_id(*member.backup) : "-",
                     std::to_string(member.pieces.size()),
                     member.log_to ? model::format_position(*member.log_to) : "-"});
    }
    return out + "\n" + members.render(2);
}

std::string backup_text(const repo::StoredManifest& backup)
{
    const auto& value = backup.value;
    const auto& totals = value.totals;
    auto out = fmt::format("backup {}/{} of group {}: full, {}\n", value.member,
                           backup_id(backup.number()), value.group,
                           value.over_wire ? "over the connection" : "from the server's files");
    out += stored_times(value.started, value.ended);
    out +=
        stored_fact("server", fmt::format("{} {}", value.identity.engine, value.identity.version));
    out += stored_fact("log", fmt::format("needed from {}, consistent from {} on",
                                          model::format_position(value.start),
                                          model::format_position(value.stop)));
    out += stored_fact("files",
                       fmt::format("{}, {}", totals.files, base::format_size(totals.file_bytes)));
    out +=
        stored_fact("stored", fmt::format("{} in {} packs", base::format_size(totals.stored_bytes),
                                          value.packs.size()));
    out += stored_fact("pages", fmt::format("{} verified", totals.pages_verified));
    std::vector<std::string> databases;
    for (const auto& [oid, name] : value.facts.databases)
        databases.push_back(name);
    out += stored_fact("databases", fmt::format("{}", fmt::join(databases, ", ")));
    for (const auto& page : value.damaged)
        out +=
            stored_fact("damaged", fmt::format("{} block {}: {}", page.path, page.block, page.why));
    if (totals.pages_damaged != 0)
        out += stored_fact("damaged", fmt::format("{} pages in all", totals.pages_damaged));
    return out;
}

} // namespace tidemark::app
