#include "app/cli/commands.h"
#include "app/cli/member_url.h"
#include "app/cli/options.h"
#include "app/cli/sheet.h"
#include "base/fd.h"
#include "base/host.h"
#include "base/log.h"
#include "engine/postgres/redact.h"
#include "job/restore_space.h"
#include "repo/drills.h"
#include "repo/restore_plan.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace tidemark::app {

namespace fs = std::filesystem;

namespace {

SheetMember describe(const model::MemberSpec& spec, const repo::RepositoryView& view)
{
    SheetMember out{.name = spec.name};
    if (!spec.url.empty()) out.place = engine::postgres::redact_url(spec.url);
    out.host = host_of_url(spec.url);
    auto stored = view.members.find(spec.name);
    if (stored == view.members.end() || stored->second.backups.empty()) return out;
    const auto& backup = stored->second.backups.front().value;
    out.version = backup.identity.version;
    out.version_num = backup.identity.version_num;
    out.superuser = backup.facts.bootstrap_superuser;
    out.bytes = backup.totals.plain_bytes;
    out.stored_bytes = backup.totals.stored_bytes;
    out.tablespaces = backup.facts.tablespaces.size();
    for (const auto& [oid, name] : backup.facts.databases) {
        if (name != "template0" && name != "template1") out.databases.push_back(name);
    }
    auto libraries = backup.identity.settings.find("shared_preload_libraries");
    if (libraries != backup.identity.settings.end()) out.libraries = libraries->second;
    return out;
}

std::string place_of_repository(const std::string& url)
{
    return url.find("://") == std::string::npos ? fs::absolute(url).lexically_normal().string()
                                                : url;
}

} // namespace

SheetFacts gather_sheet(Environment& environment)
{
    const auto& options = environment.options();
    auto view =
        repo::load_recent(environment.repository().storage(), environment.group().name, false);
    SheetFacts facts{.group = environment.group().name,
                     .repository = place_of_repository(environment.repository_spec().url),
                     .repository_id = environment.repository().head().id,
                     .program = version_text(),
                     .libraries = own_libraries(),
                     .host = base::host_name(),
                     .written = environment.clock().now()};
    bool given = options.command == "sheet" && !options.dir.empty();
    if (given) facts.dir = fs::absolute(options.dir).lexically_normal();
    for (const auto& member : environment.group().members)
        facts.members.push_back(describe(member, view));
    if (auto newest = repo::newest_restorable(view)) {
        facts.mark = repo::mark_id(*newest);
        for (const auto& mark : view.marks) {
            if (mark.number() == *newest) facts.mark_time = mark.value.created;
        }
        if (auto plan = repo::plan_restore(view, *newest).plan) {
            for (auto& member : facts.members) {
                auto planned = plan->members.find(member.name);
                if (planned != plan->members.end())
                    member.log_room = job::room_for_log(planned->second);
            }
        }
    }
    facts.proof =
        repo::Drills(environment.repository().storage(), environment.group().name).proofs().newest;
    return facts;
}

fs::path sheet_beside(const fs::path& config, const std::string& group)
{
    return fs::absolute(config).parent_path() / ("recovery-" + group + ".md");
}

void store_sheet(const fs::path& file, const std::string& text)
{
    base::replace_file(file, base::as_bytes(text), 0644);
}

namespace {

std::string old_sheet(const base::Error& error)
{
    return fmt::format("the recovery sheet is not of today: {}; let this user write beside the "
                       "configuration, or print one with tidemark sheet",
                       error.what());
}

} // namespace

void warn_of_old_sheet(Environment& environment, const base::Error& error)
{
    environment.progress().warn(old_sheet(error));
}

std::optional<std::string> sheet_problem(Environment& environment)
{
    if (!environment.configured()) return std::nullopt;
    auto file = sheet_beside(environment.config()->path, environment.group().name);
    auto folder = file.parent_path();
    if (::faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) == 0) return std::nullopt;
    return fmt::format("{} cannot be written: {}", file.string(), std::strerror(errno));
}

bool refresh_sheet(Environment& environment, OldSheet told)
{
    if (!environment.configured()) return true;
    try {
        store_sheet(sheet_beside(environment.config()->path, environment.group().name),
                    render_sheet(gather_sheet(environment), SheetFormat::markdown));
    } catch (const base::Error& error) {
        if (told == OldSheet::warning)
            warn_of_old_sheet(environment, error);
        else
            environment.progress().note(old_sheet(error));
        return false;
    }
    return true;
}

void keep_sheet_right(Environment& environment)
{
    if (!environment.configured()) return;
    auto file = sheet_beside(environment.config()->path, environment.group().name);
    try {
        auto now = render_sheet(gather_sheet(environment), SheetFormat::markdown);
        base::Bytes there;
        if (fs::exists(file)) there = base::read_file(file, 4U << 20);
        if (!tells_the_same(now, base::as_text(there))) store_sheet(file, now);
    } catch (const std::exception& error) {
        base::log_debug("{}", error.what());
    }
}

int run_sheet(Environment& environment)
{
    const auto& options = environment.options();
    auto format = options.format == "text" ? SheetFormat::text : SheetFormat::markdown;
    auto text = render_sheet(gather_sheet(environment), format);
    auto& output = environment.output();
    output.document()["sheet"] = text;
    if (options.output) {
        store_sheet(fs::absolute(*options.output), text);
        output.text("written to " + options.output->string() + "\n");
    } else {
        output.text(text);
    }
    return 0;
}

} // namespace tidemark::app
