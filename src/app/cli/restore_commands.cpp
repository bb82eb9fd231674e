#include "app/cli/commands.h"
#include "app/cli/decisions.h"
#include "app/cli/describe.h"
#include "app/cli/restore_setup.h"
#include "base/fd.h"
#include "base/subprocess.h"
#include "job/drill.h"
#include "job/joint_copies.h"
#include "job/joint_restore.h"
#include "job/restore.h"
#include "repo/lost_marks.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace tidemark::app {

using base::Code;
using base::Error;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMaxDecisions = 16U << 20;

std::string own_program()
{
    std::error_code error;
    auto path = fs::read_symlink("/proc/self/exe", error);
    return error ? "tidemark" : path.string();
}

/// The server's user: the named one; as root, the user that servers commonly run as.
std::string server_user(const Options& options)
{
    if (!options.user.empty() || ::geteuid() != 0) return options.user;
    try {
        return base::lookup_user("postgres").name;
    } catch (const Error&) {
        throw Error{Code::usage,
                    "PostgreSQL refuses to run as root",
                    {.hint = "name the user the servers shall run as with --user"}};
    }
}

/// Empty where the repository is no folder.
fs::path repository_folder(Environment& environment)
{
    std::string url = environment.repository_spec().url;
    if (url.starts_with("file://")) url.erase(0, 7);
    return url.find("://") == std::string::npos ? fs::absolute(url) : fs::path{};
}

base::Bytes read_decisions(const fs::path& file)
{
    try {
        return base::read_file(file, kMaxDecisions);
    } catch (const Error& error) {
        throw Error{Code::usage,
                    fmt::format("--decisions {} cannot be read: {}", file.string(), error.what()),
                    {.hint = "name a file with lines `MEMBER GID commit|rollback`"}};
    }
}

job::RestoreOptions restore_options(Environment& environment)
{
    const auto& options = environment.options();
    job::RestoreOptions out;
    out.dir = options.dir.empty() ? fs::path{} : fs::absolute(options.dir);
    for (const auto& [member, path] : options.map)
        out.map.emplace(member, path);
    for (const auto& [key, path] : options.tablespaces) {
        auto colon = key.rfind(':');
        std::uint32_t oid = 0;
        const char* begin = key.c_str() + (colon == std::string::npos ? 0 : colon + 1);
        auto [end, error] = std::from_chars(begin, key.c_str() + key.size(), oid);
        if (colon == std::string::npos || error != std::errc{} || end != key.c_str() + key.size())
            throw Error{Code::usage, "--tablespace needs MEMBER:OID=DIR, not " + key};
        out.tablespaces.emplace(std::pair{key.substr(0, colon), oid}, path);
    }
    out.repository = repository_folder(environment);
    out.user = server_user(options);
    out.bin_dir = options.bin_dir;
    out.preload = options.preload;
    out.helper = own_program();
    out.settle = options.in_doubt == "settle";
    if (options.decisions) {
        auto bytes = read_decisions(*options.decisions);
        out.decisions =
            parse_decisions(base::as_text(bytes), *options.decisions, &out.decision_lines);
    }
    out.force = options.force;
    out.start = options.start;
    out.as_production = options.as_production;
    return out;
}

/// A time that lies below some later mark's bounds is reached exactly; nothing when it cannot be,
/// for the reason in `why_not`.
std::optional<repo::RestorePlan> plan_moment(Environment& environment, repo::RepositoryView view,
                                             base::Time at, const repo::PlanOptions& members,
                                             std::string& why_not)
{
    try {
        auto moment = job::find_moment(environment.context(), view, at);
        repo::StoredMark mark;
        mark.value = moment.mark;
        view.marks.insert(view.marks.begin(), std::move(mark));
        auto plan = repo::need_plan(repo::plan_restore(view, 0, members));
        environment.output().text(moment_text(moment) + "\n");
        environment.output().document()["moment"] = moment_json(moment);
        return plan;
    } catch (const Error& error) {
        if (error.code() != Code::point_not_reachable && error.code() != Code::log_gap &&
            error.code() != Code::not_restorable)
            throw;
        why_not = error.what();
        return std::nullopt;
    }
}

repo::RestorePlan make_plan(Environment& environment, const repo::RepositoryView& view,
                            const std::vector<std::string>& members)
{
    repo::PlanOptions plan_options{.members = members, .alone = environment.options().alone};
    auto selector = repo::parse_mark_selector(environment.options().to);
    std::string no_moment;
    if (selector.kind == repo::MarkSelector::Kind::time && !view.marks.empty()) {
        if (auto plan = plan_moment(environment, view, selector.time, plan_options, no_moment))
            return std::move(*plan);
    }
    if (view.marks.empty()) {
        throw Error{Code::point_not_reachable,
                    "the repository holds no mark of " + view.group,
                    {.hint = "tidemark backup makes the first one"}};
    }
    model::Number number = 0;
    if (selector.kind == repo::MarkSelector::Kind::latest) {
        // Moments are for those who name them: they lie below a mark that was there before them.
        auto newest = std::ranges::find_if(
            view.marks, [](const repo::StoredMark& mark) { return !mark.value.is_moment(); });
        if (newest == view.marks.end()) newest = view.marks.begin();
        number = repo::newest_restorable(view).value_or(newest->number());
        if (number != newest->number()) {
            environment.progress().warn(
                fmt::format("{} is not restorable; the newest that is, is {}",
                            repo::mark_id(newest->number()), repo::mark_id(number)));
        }
    } else {
        repo::Marks marks(environment.repository().storage(), view.group);
        auto mark = marks.find(selector);
        if (!mark && selector.kind == repo::MarkSelector::Kind::name &&
            repo::begins_like_a_date(selector.name))
            mark = marks.need(selector.name); // says what is wrong with it
        if (!mark) {
            throw Error{
                Code::point_not_reachable,
                fmt::format("there is no mark {} '{}'",
                            selector.kind == repo::MarkSelector::Kind::time ? "at or before"
                                                                            : "called",
                            environment.options().to),
                {.hint = fmt::format("a time is written 2026-11-22 14:30:00 +01:00; marks go from "
                                     "{} ({}) to {} ({})",
                                     repo::mark_id(view.marks.back().number()),
                                     base::format_time_human(view.marks.back().value.created),
                                     repo::mark_id(view.marks.front().number()),
                                     base::format_time_human(view.marks.front().value.created))}};
        }
        number = mark->number();
        if (!no_moment.empty())
            environment.progress().warn(
                fmt::format("{}; the newest mark at or before it is taken instead: {}", no_moment,
                            mark_title(*mark)));
    }
    auto plan = repo::need_plan(repo::plan_restore(view, number, plan_options));
    for (auto& sentence : passed_over(environment, view, number))
        plan.warnings.push_back(std::move(sentence));
    return plan;
}

/// Members that were named, of those that there are.
void require_members(const std::vector<std::string>& only, const repo::RepositoryView& view)
{
    for (const auto& name : only) {
        if (!view.members.contains(name))
            throw Error{Code::usage, "--only names " + name + ", which is no member"};
    }
}

/// A member by itself is as it was at the mark, and the group is not.
std::string alone_warning(const repo::RestorePlan& plan)
{
    if (!plan.mark) return {};
    std::size_t shared = 0;
    for (const auto& transaction : plan.mark->value.at.spanning) {
        shared +=
            std::any_of(transaction.parts.begin(), transaction.parts.end(), [&](const auto& part) {
                return plan.members.contains(part.branch.member);
            });
    }
    return fmt::format(
        "restored alone: the GROUP IS NOT CONSISTENT with it; the other members stand "
        "elsewhere, and every distributed transaction after the mark is there and not "
        "here ({} spanned the mark and were settled by its verdicts)",
        shared);
}

void require_all_mapped(const job::RestoreOptions& options, const repo::RestorePlan& plan)
{
    for (const auto& [name, path] : options.map) {
        if (!plan.members.contains(name))
            throw Error{Code::usage, "--map names " + name + ", which is no member"};
    }
    if (!options.dir.empty()) return;
    for (const auto& [name, member] : plan.members) {
        if (!options.map.contains(name))
            throw Error{Code::usage,
                        "restore needs --dir DIR, or --map for every member",
                        {.hint = "--dir /restore puts member " + name + " into /restore/" + name}};
    }
}

/// A mark's id; of a moment its time, "2026-11-22T143000.000000Z".
std::string report_name(const job::RestoreReport& report)
{
    if (!report.mark) return "positions";
    if (report.mark->number() != 0) return repo::mark_id(report.mark->number());
    auto time = base::format_time(report.mark->value.created);
    std::erase(time, ':');
    return time;
}

void write_report(const job::RestoreOptions& options, const job::RestoreReport& report)
{
    if (options.dir.empty()) return;
    fs::create_directories(options.dir); // all members may lie elsewhere
    auto name = "restore-" + report_name(report);
    base::replace_file(options.dir / (name + ".txt"), base::as_bytes(report_text(report)));
    base::replace_file(options.dir / (name + ".json"),
                       base::as_bytes(json_text(report_json(report))));
}

/// Writes nothing: what would be done, what would be removed, and what stands in the way.
int show_plan(Environment& environment, const repo::RestorePlan& plan,
              const job::RestoreOptions& options)
{
    auto& output = environment.output();
    bool discard = environment.options().discard;
    if (!discard) output.text(plan_text(plan, options));
    if (!options.dir.empty() || !options.map.empty()) {
        require_all_mapped(options, plan);
        auto& removes = output.document()["removes"] = nlohmann::json::array();
        if (options.force || discard) {
            for (const auto& path :
                 job::would_remove(environment.context(), plan, options, discard)) {
                output.text("would remove " + path.string() + "\n");
                removes.push_back(path.string());
            }
        }
        if (!discard) {
            for (const auto& warning : job::check_restore(environment.context(), plan, options))
                environment.progress().warn(warning);
        }
    } else {
        for (const auto& warning : job::check_anywhere(plan, options))
            environment.progress().warn(warning);
    }
    output.text("nothing was written; run again without --plan to do it\n");
    return static_cast<int>(environment.progress().warnings().empty() ? Code::ok : Code::warnings);
}

/// A restore that passed all its own checks proves its mark, like a drill.
void record_proof(Environment& environment, const repo::RestorePlan& plan,
                  const job::RestoreReport& report)
{
    try {
        auto number = job::record_restore(environment.context(), plan, report);
        if (number) environment.output().document()["drill"] = repo::drill_id(*number);
    } catch (const Error& error) {
        // Restored from a copy that cannot be written to, perhaps: the restore is none the worse.
        environment.progress().note("not recorded in the repository: " + std::string(error.what()));
    }
}

} // namespace

job::RestoreOptions restore_setup(Environment& environment)
{
    return restore_options(environment);
}

std::vector<std::string> passed_over(Environment& environment, const repo::RepositoryView& view,
                                     model::Number taken)
{
    using Kind = repo::MarkSelector::Kind;
    auto kind = repo::parse_mark_selector(environment.options().to).kind;
    if (kind != Kind::latest && kind != Kind::time) return {};
    repo::MarkSpan span{.after = taken};
    // What was placed after the first mark behind that time lies behind it, too.
    for (const auto& mark : view.marks) { // newest first
        if (kind == Kind::time && mark.number() > taken && !mark.value.is_moment())
            span.before = mark.number();
    }
    std::vector<std::string> out;
    for (const auto& lost : repo::lost_marks(environment.repository().storage(), view, span))
        out.push_back(fmt::format("{} cannot be taken ({}: {}); the older {} is",
                                  repo::mark_id(lost.number), lost.key, lost.why,
                                  repo::mark_id(taken)));
    return out;
}

repo::RestorePlan planned_restore(Environment& environment, const repo::RepositoryView& view,
                                  const std::vector<std::string>& members)
{
    return make_plan(environment, view, members);
}

int show_restore_plan(Environment& environment, const repo::RestorePlan& plan,
                      const job::RestoreOptions& options)
{
    return show_plan(environment, plan, options);
}

void keep_report_beside(job::RestoreOptions& options)
{
    options.keep_report = [places = options](const job::RestoreReport& report) {
        write_report(places, report);
    };
}

void finish_restore(Environment& environment, const job::RestoreOptions& options,
                    job::RestoreReport& report)
{
    try {
        write_report(options, report);
    } catch (const Error& error) {
        // The members are open: this is no reason to say that the restore failed.
        report.warnings.push_back("the report in " + options.dir.string() +
                                  " is not complete: " + error.what());
    }
    environment.output().document()["report"] = report_json(report);
    environment.output().text(report_text(report));
    for (const auto& warning : report.warnings)
        environment.progress().warn(warning);
}

void prove(Environment& environment, const repo::RestorePlan& plan,
           const job::RestoreReport& report)
{
    record_proof(environment, plan, report);
}

int run_restore(Environment& environment)
{
    const auto& asked = environment.options();
    if (!asked.forget.empty() || asked.open || asked.instead ||
        (!asked.only.empty() && !asked.alone && !asked.discard))
        return run_joint_restore(environment);
    if (asked.alone && asked.only.empty()) throw Error{Code::usage, "--alone needs --only MEMBER"};
    auto options = restore_options(environment);
    // A plan that is carried out checks every piece of log against the set that names it.
    bool recent = asked.plan && asked.to == "latest";
    auto view = recent ? environment.recent_view() : environment.view();
    require_members(asked.only, view);
    auto plan = make_plan(environment, view, asked.only);
    if (asked.alone) plan.warnings.push_back(alone_warning(plan));
    if (!recent && !asked.discard) job::keep_backups(view, options, plan);
    auto& output = environment.output();
    auto& document = output.document();
    document["plan"] = plan_json(plan, options);
    if (environment.options().plan) return show_plan(environment, plan, options);
    require_all_mapped(options, plan);
    if (environment.options().discard) {
        job::would_remove(environment.context(), plan, options,
                          true); // throws what stands against it
        auto here = job::joint_members(options, asked.only);
        job::withdraw_members(environment.context(), here);
        for (const auto& path : job::discard_restore(environment.context(), plan, options))
            output.text("removed " + path.string() + "\n");
        return 0;
    }
    if (!environment.options().quiet && !environment.options().json)
        environment.progress().note(plan_text(plan, options));
    if (options.force) job::withdraw_replaced(environment.context(), plan, options);
    keep_report_beside(options);
    auto report = job::restore_group(environment.context(), plan, options);
    finish_restore(environment, options, report);
    record_proof(environment, plan, report);
    return static_cast<int>(
        report.unsettled || !environment.progress().warnings().empty() ? Code::warnings : Code::ok);
}

} // namespace tidemark::app
