#include "app/cli/command_tree.h"

#include <map>
#include <memory>

namespace tidemark::app {

namespace {

using Pairs = std::map<std::string, std::string>;

void add_pairs(CLI::App* app, const std::string& name, Pairs& into, const std::string& help)
{
    app->add_option_function<std::vector<std::string>>(
           name,
           [&into, name](const std::vector<std::string>& values) {
               for (const auto& value : values) {
                   auto at = value.find('=');
                   if (at == std::string::npos || at == 0 || at + 1 == value.size()) {
                       throw CLI::ValidationError(name, "needs NAME=VALUE, not '" + value + "'");
                   }
                   auto to = value.substr(at + 1);
                   auto [known, fresh] = into.try_emplace(value.substr(0, at), to);
                   if (!fresh && known->second != to)
                       throw CLI::ValidationError(name, "says two things of " + known->first +
                                                            ": " + known->second + " and " + to);
               }
           },
           help)
        ->expected(1)
        ->take_all();
}

/// Pages of help. What holds for every command stands on each command's page, too.
class HelpPages : public CLI::Formatter {
public:
    std::string make_footer(const CLI::App* app) const override
    {
        auto footer = CLI::Formatter::make_footer(app);
        if (app->get_parent() == nullptr) return footer;
        std::string names;
        for (const auto* option : app->get_parent()->get_options()) {
            if (option->get_name() == "--help") continue;
            names += (names.empty() ? "" : ", ") + option->get_name(false, true);
            if (option->get_items_expected_max() != 0) names += " " + option->get_type_name();
        }
        return "Options of every command: " + names + "\n" + footer;
    }
    /// Of words that may change places the type says how they are written.
    std::string make_option_usage(const CLI::Option* option) const override
    {
        bool several = option->get_expected_max() > 1 &&
                       option->get_expected_max() < CLI::detail::expected_max_vector_size;
        return several ? option->get_type_name() : CLI::Formatter::make_option_usage(option);
    }
};

} // namespace

CommandTree::CommandTree(Options& options)
    : o_(options), app_("Synchronized backups of databases that share transactions", "tidemark")
{
    app_.formatter(std::make_shared<HelpPages>()); // before the commands, which inherit it
    app_.require_subcommand(0, 1);
    app_.fallthrough();
    app_.set_help_flag("-h,--help", "help for the program or a command");
    app_.add_option("--config", o_.config, "configuration file")->type_name("FILE");
    app_.add_option("--repo", o_.repository,
                    "repository (name or place), instead of the configured one; one that the "
                    "configuration does not name is read without it")
        ->type_name("PATH");
    app_.add_flag("--json", o_.json, "one JSON document on stdout");
    app_.add_flag("-q,--quiet", o_.quiet, "no progress, no notes");
    app_.add_flag("-v,--verbose", o_.verbose, "debug log on stderr");
    app_.footer("Exit codes: docs/guide/exit-codes.md. Start here: tidemark demo, then "
                "tidemark init.");
    add_setup();
    add_work();
    add_look();
    add_retention();
    add_restore();
    add_drill();
    add_rest();
}

CLI::App* CommandTree::command(const std::string& name, const std::string& help)
{
    auto* sub = app_.add_subcommand(name, help);
    sub->fallthrough();
    sub->callback([this, name] { o_.command = name; });
    return sub;
}

CLI::App* CommandTree::group_command(const std::string& name, const std::string& help)
{
    auto* sub = command(name, help);
    sub->add_option("group", o_.group, "the group; may be left out when there is one")
        ->type_name("G");
    return sub;
}

void CommandTree::add_jobs(CLI::App* sub, const std::string& help)
{
    sub->add_option("--jobs", o_.jobs, help)->type_name("N")->check(CLI::Range(1, 64));
}

void CommandTree::add_setup()
{
    auto* init = command("init", "connect, write the configuration, create repository and slots");
    init->add_option("urls", o_.urls, "NAME=URL or URL of each member")->type_name("URL...");
    init->add_option("--group", o_.group, "name of the group")->type_name("G");
    init->add_option("--role", o_.role, "role for --print-sql and --apply-sql")
        ->capture_default_str();
    init->add_flag("--print-sql", o_.print_sql,
                   "print the SQL for a least-privilege role and stop");
    init->add_flag("--apply-sql", o_.apply_sql,
                   "run that SQL on every member (as an administrator)");
    init->add_flag("--unbounded", o_.unbounded,
                   "create slots although max_slot_wal_keep_size is -1");
    init->add_flag("--new-repository", o_.new_repository,
                   "begin one in an empty place where another was seen before");
    add_pairs(init, "--data-dir", o_.data_dirs, "MEMBER=PATH: read the files directly");
    add_members();
    auto* check = group_command(
        "check", "is everything ready? one line of cause and the fix for what is not");
    check->add_flag("--nagios", o_.nagios, "one line and exit code of a monitoring plugin");
}

void CommandTree::add_members()
{
    auto* add = command("add-member", "one more member: slot, identity, configuration");
    add->add_option("url", o_.urls, "NAME=URL or URL of the member")
        ->required()
        ->expected(1)
        ->type_name("URL");
    add->footer("for example: tidemark add-member "
                "billing=postgresql://tidemark@billing-db/postgres");
    add->add_option("--name", o_.member, "name of the member")->type_name("N");
    add->add_option("--group", o_.group, "the group; may be left out when there is one")
        ->type_name("G");
    add->add_flag("--plan", o_.plan, "show what would be done, change nothing");
    add->add_flag("--unbounded", o_.unbounded,
                  "create the slot although max_slot_wal_keep_size is -1");
    add_pairs(add, "--data-dir", o_.data_dirs, "MEMBER=PATH: read the files directly");
    auto* leave = command("leave", "a member, or the whole group, is no longer backed up");
    leave->add_option("member", o_.member, "the member; left out, all of the group")
        ->type_name("M");
    leave->add_option("--group", o_.group, "the group; may be left out when there is one")
        ->type_name("G");
    leave->add_flag("--plan", o_.plan, "show what would be done, change nothing");
    leave->add_flag("-y,--yes", o_.yes, "do not ask");
}

void CommandTree::add_work()
{
    auto* backup = group_command("backup", "full base backups of all members and a closing mark");
    backup->add_option("--name", o_.mark_name, "name of the closing mark")->type_name("N");
    add_jobs(backup);
    auto* run =
        group_command("run", "the scheduled job: a full backup when one is due, else a mark");
    run->add_option("--metrics", o_.metrics, "write Prometheus metrics to this file afterwards")
        ->type_name("FILE");
    add_jobs(run);
    group_command("log", "bring the log backups up to now");
    auto* mark = group_command("mark", "a consistent mark, log backups extended to it");
    mark->add_option("--name", o_.mark_name, "name of the mark")->type_name("N");
    mark->add_option("--at", o_.at, "a moment in the past, from the stored logs alone")
        ->type_name("TIME");
    auto* reindex = group_command("reindex", "rebuild the index of every log piece that lacks one");
    (void)reindex;
}

void CommandTree::add_retention()
{
    auto* expire = group_command("expire", "remove what the retention rules let go");
    expire->add_flag("--plan", o_.plan, "say for each set why it stays or goes, remove nothing");
    auto* hold = command("hold", "keep a mark and all it needs, whatever its age");
    hold->footer("for example: tidemark hold m-12");
    hold->add_option("id", o_.subject, "m-12, a mark's name, or s-7")->required();
    hold->add_option("group", o_.group, "the group")->type_name("G");
    hold->add_option("--note", o_.note, "why")->type_name("TEXT");
    hold->add_option("--until", o_.until, "when the hold ends by itself")->type_name("TIME");
    auto* release = command("release", "end a hold");
    release->footer("for example: tidemark release m-12");
    release->add_option("id", o_.subject, "m-12, a mark's name, or s-7")->required();
    release->add_option("group", o_.group, "the group")->type_name("G");
}

void CommandTree::add_look()
{
    auto* list =
        command("list", "list marks, backups, sets, runs, drills, holds, restores or windows");
    list->footer("for example: tidemark list marks");
    list->add_option("what", o_.subject,
                     "marks | backups | sets | runs | drills | holds | restores | windows")
        ->required()
        ->check(CLI::IsMember(
            {"marks", "backups", "sets", "runs", "drills", "holds", "restores", "windows"}));
    list->add_option("--limit", o_.limit,
                     "show so many of the newest marks, sets, runs or drills; 0: all "
                     "(default 100)")
        ->type_name("N");
    list->add_option("group", o_.group, "the group")->type_name("G");
    auto* show = command("show", "one mark, backup, set, run or drill in full");
    show->footer("for example: tidemark show m-12");
    show->add_option("id", o_.subject, "m-12, s-7, MEMBER/b-3, run-9, drill-3, a mark's name")
        ->required();
    add_report(show, "a drill's report as .html, .json or text");
    show->add_option("group", o_.group, "the group")->type_name("G");
    auto* status =
        group_command("status", "restorable to when, at which mark, how old; each member's chain");
    status->add_flag("--exit-code", o_.exit_code,
                     "exit 3 when something needs attention, 4 when nothing is restorable");
    status->add_option("--metrics", o_.metrics, "also write Prometheus metrics to this file")
        ->type_name("FILE");
    auto* audit = command("audit", "recompute a mark's proof from the stored logs");
    audit->footer("for example: tidemark audit m-12");
    audit->add_option("mark", positional_, "[G] MARK")
        ->required()
        ->expected(1, 2)
        ->type_name("[G] MARK");
    audit->add_option("--explain", o_.gid, "everything known about one gid")->type_name("GID");
    auto* verify =
        group_command("verify", "every object present, hashes right, log chains gap-free");
    add_jobs(verify, "threads (at most 16)");
}

void CommandTree::add_restore()
{
    auto* restore = group_command("restore", "all members to one mark");
    restore->add_option("--to", o_.to, "latest, a mark (m-12 or its name) or a time")
        ->capture_default_str();
    restore->add_option("--dir", o_.dir, "folder for the members: DIR/MEMBER")->type_name("DIR");
    add_pairs(restore, "--map", o_.map, "MEMBER=DIR: another place for one member");
    add_pairs(restore, "--tablespace", o_.tablespaces, "MEMBER:OID=DIR: place of a tablespace");
    add_jobs(restore);
    restore->add_flag("--plan", o_.plan, "show everything, write nothing");
    restore->add_flag("--start", o_.start, "leave the servers running on private sockets");
    restore->add_flag("--as-production", o_.as_production,
                      "hand over with the captured configuration in force");
    restore->add_option("--in-doubt", o_.in_doubt, "settle by evidence, or keep prepared")
        ->check(CLI::IsMember({"settle", "keep"}))
        ->capture_default_str();
    restore->add_option("--decisions", o_.decisions, "file of 'MEMBER GID commit|rollback' lines")
        ->type_name("FILE");
    restore->add_flag("--force", o_.force,
                      "replace a restore that lies in the target (nothing else)");
    restore->add_flag("--discard", o_.discard,
                      "give up an unfinished restore in --dir and remove it");
    restore->add_option("--user", o_.user, "system user the servers run as")->type_name("USER");
    restore->add_option("--bin-dir", o_.bin_dir, "folder of the server's programs")
        ->type_name("DIR");
    restore->add_option("--preload", o_.preload, "library to preload during recovery")
        ->type_name("LIB")
        ->expected(1)
        ->take_all();
    add_several_hosts(restore);
    auto* fetch = command("fetch-log", "called by PostgreSQL during a restore");
    fetch->group("");
    fetch->add_option("plan", o_.fetch_plan)->required();
    fetch->add_option("name", o_.log_name)->required();
    fetch->add_option("target", o_.log_target)->required();
}

void CommandTree::add_several_hosts(CLI::App* restore)
{
    restore
        ->add_option("--only", o_.only,
                     "bring this member to the mark and stop there, unopened (other hosts "
                     "bring the others)")
        ->type_name("MEMBER")
        ->expected(1)
        ->take_all();
    restore->add_flag("--open", o_.open,
                      "open what --only brought to the mark here, once all members are there");
    restore->add_flag("--alone", o_.alone,
                      "with --only: restore these members by themselves; the group is then "
                      "not consistent");
    restore->add_flag("--instead", o_.instead,
                      "with --only: this copy counts, not the one that another host reported");
    restore
        ->add_option("--forget", o_.forget,
                     "end an unfinished restore over several hosts; removes nothing")
        ->type_name("restore-N");
}

void CommandTree::add_report(CLI::App* sub, const std::string& help)
{
    sub->add_option("--report", o_.report, help)->type_name("FILE");
}

void CommandTree::add_drill()
{
    auto* drill = group_command("drill", "practice restore: bring a mark up, check all, report");
    drill->add_option("--to", o_.to, "latest, a mark (m-12 or its name) or a time")
        ->capture_default_str();
    drill->add_option("--dir", o_.dir, "where the scratch folder is made")->type_name("DIR");
    drill->add_option("--sql", o_.assertions, "statements about the restored data")
        ->type_name("FILE");
    add_report(drill, "write the report as .html, .json or text, too");
    drill->add_flag("--keep", o_.keep_scratch, "leave the restored files, servers stopped");
    drill->add_option("--decisions", o_.decisions, "file of 'MEMBER GID commit|rollback' lines")
        ->type_name("FILE");
    add_jobs(drill);
    add_server(drill);
    auto* sheet = group_command("sheet", "the recovery sheet: what to do when all is lost");
    sheet->add_option("--format", o_.format, "markdown or text")
        ->check(CLI::IsMember({"markdown", "text"}))
        ->capture_default_str();
    sheet->add_option("--output", o_.output, "write it there instead of printing it")
        ->type_name("FILE");
    sheet->add_option("--dir", o_.dir, "folder its commands restore to (/restore)")
        ->type_name("DIR");
}

void CommandTree::add_server(CLI::App* sub)
{
    sub->add_option("--user", o_.user, "system user the servers run as")->type_name("USER");
    sub->add_option("--bin-dir", o_.bin_dir, "folder of the server's programs")->type_name("DIR");
    sub->add_option("--preload", o_.preload, "library to preload during recovery")
        ->type_name("LIB")
        ->expected(1)
        ->take_all();
}

void CommandTree::add_rest()
{
    auto* demo =
        command("demo", "three throwaway clusters, a bank, a disaster, a restore, the proof");
    demo->add_option("--members", o_.members, "clusters")
        ->check(CLI::Range(2, 16))
        ->capture_default_str();
    demo->add_option("--seconds", o_.seconds, "of load before the disaster")
        ->check(CLI::Range(3, 3600))
        ->capture_default_str();
    demo->add_option("--seed", o_.seed, "random seed");
    demo->add_option("--keep", o_.keep, "keep everything in this folder")->type_name("DIR");
    command("version", "version of the program and of the repository format it writes");
    auto* completion = command("completion", "shell completion script");
    completion->footer("for example: tidemark completion bash");
    completion->add_option("shell", o_.subject, "bash | zsh | fish")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh", "fish"}));
    command("manual", "the manual page, for man -l")->group("");
    command("help", "this page, or the page of a command")
        ->add_option("command", o_.subject, "the command")
        ->type_name("COMMAND");
}

} // namespace tidemark::app
