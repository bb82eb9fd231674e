#include "app/cli/sheet.h"

#include "app/cli/describe.h"
#include "app/cli/drill_report.h"
#include "repo/marks.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>
#include <set>

namespace tidemark::app {

namespace {

namespace fs = std::filesystem;

/// Longer paths cannot hold a socket; the server then puts it elsewhere and restore says where.
constexpr std::size_t kLongestSocketFolder = 80;

/// How the lines begin that tell of the moment only.
constexpr std::string_view kWritten = "Written ";
constexpr std::string_view kNewest = "newest restorable mark then: ";
constexpr std::string_view kLogRoom = "and room for what the log adds to that";

/// As a word of a shell command.
std::string word(const std::string& text)
{
    auto plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view{"/._-+:=,@%"}.find(c) != std::string_view::npos;
    };
    if (!text.empty() && std::all_of(text.begin(), text.end(), plain)) return text;
    std::string out = "'";
    for (char c : text)
        out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

/// Writes the same pages as Markdown or as plain text.
class Page {
public:
    explicit Page(SheetFormat format) : markdown_(format == SheetFormat::markdown) {}

    void title(const std::string& text)
    {
        out_ += markdown_ ? "# " + text + "\n" : text + "\n" + std::string(text.size(), '=') + "\n";
    }
    void heading(const std::string& text)
    {
        out_ += markdown_ ? "\n## " + text + "\n"
                          : "\n" + text + "\n" + std::string(text.size(), '-') + "\n";
    }
    void paragraph(const std::string& text) { out_ += "\n" + text + "\n"; }
    void list(const std::vector<std::string>& items)
    {
        out_ += "\n";
        for (const auto& item : items)
            out_ += (markdown_ ? "- " : "  * ") + item + "\n";
    }
    void commands(const std::vector<std::string>& lines)
    {
        if (lines.empty()) return;
        out_ += markdown_ ? "\n```sh\n" : "\n";
        for (const auto& line : lines)
            out_ += (markdown_ ? "" : "    $ ") + line + "\n";
        if (markdown_) out_ += "```\n";
    }
    std::string text() const { return out_; }

private:
    bool markdown_;
    std::string out_;
};

std::set<int> majors(const SheetFacts& facts)
{
    std::set<int> out;
    for (const auto& member : facts.members) {
        if (member.version_num != 0) out.insert(member.version_num / 10000);
    }
    return out;
}

std::uint64_t total_bytes(const SheetFacts& facts)
{
    std::uint64_t sum = 0;
    for (const auto& member : facts.members)
        sum += member.bytes;
    return sum;
}

std::uint64_t log_room(const SheetFacts& facts)
{
    std::uint64_t sum = 0;
    for (const auto& member : facts.members)
        sum += member.log_room;
    return sum;
}

std::string tidemark(const SheetFacts& facts, const std::string& rest)
{
    return fmt::format("tidemark --repo {} {}", word(facts.repository), rest);
}

void add_state(Page& page, const SheetFacts& facts)
{
    std::vector<std::string> items{
        fmt::format("repository: {} (id {})", facts.repository, facts.repository_id),
        facts.mark ? fmt::format("{}{} of {}", kNewest, *facts.mark,
                                 base::format_time_human(facts.mark_time))
                   : std::string("THERE IS NO RESTORABLE MARK YET: run `tidemark backup`, then "
                                 "print this sheet again")};
    if (facts.proof)
        items.push_back(fmt::format(
            "last proven: {}, {}, by a {} ({}){}; all members were open after {}",
            point_title(facts.proof->mark, {}, facts.proof->mark_time),
            base::format_time_human(facts.proof->at), model::drill_kind_name(facts.proof->kind),
            fmt::join(facts.proof->by, ", "), half_there_text(facts.proof->half_there),
            base::format_duration(facts.proof->restore_took)));
    else
        items.emplace_back("last proven: never; `tidemark drill` does it");
    page.list(items);
}

std::string libraries_text(const OwnLibraries& libraries)
{
    if (libraries.names.empty()) return "";
    if (!libraries.packages.empty())
        return fmt::format(", and the libraries that it is linked with (Debian, as on the host of "
                           "this sheet: packages {})",
                           fmt::join(libraries.packages, ", "));
    return fmt::format(", and the libraries that it is linked with: {}",
                       fmt::join(libraries.names, ", "));
}

void add_needs(Page& page, const SheetFacts& facts)
{
    page.heading("What must be at hand");
    std::vector<std::string> items{
        "a Linux host, and root on it; nothing of the old hosts is needed",
        fmt::format("the repository, readable at {}; where it is mounted elsewhere, change the "
                    "path behind --repo in every command",
                    facts.repository),
        "no key: this repository is not encrypted",
        fmt::format("the program {} or newer: the file `tidemark`{}. Keep a copy beside the "
                    "repository and put it into the PATH: install -m 0755 tidemark /usr/local/bin/",
                    facts.program, libraries_text(facts.libraries))};
    for (int major : majors(facts))
        items.push_back(fmt::format("PostgreSQL {0}, any minor version, server and client (Debian: "
                                    "packages postgresql-{0}, postgresql-client-{0})",
                                    major));
    if (majors(facts).empty())
        items.emplace_back("PostgreSQL of the members' versions, server and client (there is no "
                           "backup yet that says which)");
    items.emplace_back("the system user postgres, which PostgreSQL's packages make");
    if (total_bytes(facts) == 0)
        items.push_back(fmt::format("room in {} (there is no backup yet that says how much)",
                                    facts.dir.string()));
    else {
        items.push_back(fmt::format("{} free in {}, and 256 MiB more for each member",
                                    base::format_size(total_bytes(facts)), facts.dir.string()));
        items.push_back(fmt::format("{}: up to {} when this was written; step 3 says how much by "
                                    "now",
                                    kLogRoom, base::format_size(log_room(facts))));
    }
    page.list(items);
    items.clear();
    for (const auto& member : facts.members) {
        auto text = fmt::format("member {}", member.name);
        if (member.version.empty()) {
            items.push_back(text + ": no backup yet");
            continue;
        }
        text +=
            fmt::format(": PostgreSQL {}, {} to write, {} to read, databases {}", member.version,
                        base::format_size(member.bytes), base::format_size(member.stored_bytes),
                        fmt::join(member.databases, ", "));
        if (member.tablespaces > 0)
            text +=
                fmt::format(", {} tablespaces (restored below the member's folder; --tablespace "
                            "puts them elsewhere)",
                            member.tablespaces);
        if (!member.libraries.empty())
            text += fmt::format(", preloads {} (install their packages; needed during the restore "
                                "only with --preload)",
                                member.libraries);
        if (!member.place.empty()) text += ", was at " + member.place;
        items.push_back(text);
    }
    page.list(items);
}

/// Distributions have one major version each; the others come from PostgreSQL's own archive. The
/// sheet cannot know which one it will be read on.
std::string own_archive(int major)
{
    return fmt::format("if ! apt-cache show postgresql-{} >/dev/null 2>&1; then apt-get install "
                       "--yes postgresql-common ca-certificates && "
                       "/usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y; fi",
                       major);
}

void add_commands(Page& page, const SheetFacts& facts)
{
    auto group = word(facts.group);
    auto dir = word(facts.dir.string());
    page.heading("Commands, in this order, as root");
    std::string step =
        "1. Install the server and what the program needs, and see that it is there.";
    if (!majors(facts).empty())
        step += fmt::format(" If the distribution does not have version {}, a line that begins "
                            "with `if` adds PostgreSQL's own archive of packages (PGDG), which "
                            "needs the network.",
                            fmt::join(majors(facts), " or "));
    page.paragraph(step);
    std::vector<std::string> install;
    if (!facts.libraries.packages.empty() || !majors(facts).empty())
        install.emplace_back("apt-get update");
    if (!facts.libraries.packages.empty())
        install.push_back(
            fmt::format("apt-get install --yes {}", fmt::join(facts.libraries.packages, " ")));
    for (int major : majors(facts)) {
        install.push_back(own_archive(major));
        install.push_back(
            fmt::format("apt-get install --yes postgresql-{0} postgresql-client-{0}", major));
    }
    install.emplace_back("cd /"); // psql as postgres would complain of /root
    install.emplace_back("tidemark version");
    page.commands(install);
    page.paragraph("2. See what can be restored, and check it. The check reads everything; leave "
                   "it out when minutes count: the restore checks every byte it uses. On a new "
                   "host a note says that it has not seen this repository before: "
                   "so it is. A fault (exit code 4) names the marks it costs; go on with one that "
                   "the list calls restorable.");
    page.commands({tidemark(facts, "list marks " + group), tidemark(facts, "verify " + group)});
    page.paragraph("3. Look at the plan. Nothing is written.");
    auto restore =
        fmt::format("restore {} --to latest --dir {} --user postgres --start", group, dir);
    page.commands(
        {fmt::format("install -d -m 0755 {}", dir), tidemark(facts, restore + " --plan")});
    page.paragraph("4. Restore. Nothing is asked. It ends with exit code 0, or with 3 and warnings "
                   "to read. Interrupted or failed: run the same line again, it goes on.");
    page.commands({tidemark(facts, restore)});
    page.paragraph(
        "For an earlier point: --to with a mark from the list (m-12) or a time in quotes, "
        "in both lines.");
}

/// When the members shall go back onto hosts of their own.
void add_several_hosts(Page& page, const SheetFacts& facts)
{
    std::map<std::string, std::string> by_host; // -> "--only" of its members
    for (const auto& member : facts.members)
        by_host[member.host] += " --only " + word(member.name);
    if (by_host.size() < 2) return;
    page.heading("Instead of step 4, when each member shall go back onto a host of its own");
    page.paragraph("The repository must be mounted on all of them, writable. Steps 1 and 2 on "
                   "each; then, at the same time or one after the other, the line of each host. "
                   "Its members stop at the mark, closed. Interrupted or failed: the same line "
                   "again. The first one fixes the mark; one that says so otherwise prints what "
                   "to do.");
    auto group = word(facts.group);
    auto dir = word(facts.dir.string());
    page.paragraph(fmt::format(
        "For an earlier point: a mark from the list (m-12) in place of latest, in all these lines. "
        "They take no time; make a mark of it first, on one of the hosts, with `{}`, and then say "
        "--to before-it.",
        tidemark(facts, fmt::format("mark {} --at 'TIME' --name before-it", group))));
    for (const auto& [host, only] : by_host) {
        page.paragraph("instead of " + (host.empty() ? std::string("this host") : host) + ":");
        page.commands({fmt::format("install -d -m 0755 {}", dir),
                       tidemark(facts, fmt::format("restore {}{} --to latest --dir {} --user "
                                                   "postgres",
                                                   group, only, dir))});
    }
    page.paragraph("When all of them have ended well, on each host, in any order. While one is "
                   "missing it opens nothing and says which (exit code 21).");
    page.commands({tidemark(
        facts, fmt::format("restore {} --open --dir {} --user postgres --start", group, dir))});
}

/// "Fast shutdown" in whatever folder the server's programs are (pg_ctl refuses to run as root).
std::vector<std::string> stops(const SheetFacts& facts)
{
    std::vector<std::string> out;
    for (const auto& member : facts.members) {
        if (member.version.empty()) continue;
        out.push_back(
            fmt::format("kill -INT \"$(head -n 1 {})\"",
                        word((facts.dir / member.name / "data" / "postmaster.pid").string())));
    }
    return out;
}

void add_checks(Page& page, const SheetFacts& facts)
{
    page.heading("What to check afterwards");
    page.paragraph("Each member answers, its databases are there, and nothing is left prepared: "
                   "the second answer has no rows, unless step 4 ended with 3 and kept some.");
    std::vector<std::string> lines;
    for (const auto& member : facts.members) {
        auto socket = (facts.dir / member.name / "data").string();
        if (member.version.empty() || socket.size() > kLongestSocketFolder) continue;
        for (const char* query :
             {"SELECT datname FROM pg_database", "SELECT gid, prepared FROM pg_prepared_xacts"})
            lines.push_back(fmt::format("runuser -u postgres -- psql -h {} -p 5432 -U {} -d "
                                        "postgres -c {}",
                                        word(socket), word(member.superuser), word(query)));
    }
    if (lines.empty())
        page.paragraph("(The restore's report says where the sockets are.)");
    else
        page.commands(lines);
    page.list(
        {fmt::format("read the report {}/restore-m-N.txt: where each member stopped, what was "
                     "decided about transactions in doubt, what was lost",
                     facts.dir.string()),
         "kept prepared (exit code 3): nobody's log says how these ended, and their locks are "
         "held until they do. Ask the log of the application's coordinator; where it knows of no "
         "commit, roll back. One word for all members of a transaction: write lines `MEMBER GID "
         "commit|rollback` into a file and run step 4 once more with --decisions FILE added (the "
         "servers restart, in quarantine again: what was changed in their configuration meanwhile "
         "is kept beside, as the report lists), or say COMMIT PREPARED or ROLLBACK PREPARED in "
         "their databases",
         "a warning about collations names what to REINDEX",
         "ask the data something that its owners know the answer of"});
    page.heading("Back into production");
    page.list({"the members run in quarantine: only on their private sockets, no archiving, no "
               "subscriptions, autovacuum on; the old configuration (postgresql.conf, "
               "postgresql.auto.conf, pg_hba.conf, pg_ident.conf) lies beside as *.from-backup",
               "stop them with the commands below, put the configuration back (or restore again "
               "with --as-production instead of --start), look through it for folders and "
               "addresses of the old hosts, start them, then let the applications in",
               "replication slots are gone: standbys and logical consumers are made anew",
               "back the group up again under new member names (`tidemark init`): that always "
               "works, while the old ones are refused (24) when the mark lies before an earlier "
               "failover or restore of a member; and practise (`tidemark drill`)"});
    page.commands(stops(facts));
}

void add_trouble(Page& page)
{
    page.heading("When a command fails");
    page.paragraph("Its last line says what to do next. The exit code tells the kind:");
    page.list(
        {("4: something in the repository is damaged or was never stored; the message of a "
          "restore names the nearest mark that can be restored: use it with --to. After "
          "verify: marks it does not name are good"),
         "13: the repository cannot be read: mount, path, permissions",
         ("21: a package is missing, or the user: the message names it; from --open: a member "
          "of another host is not there yet"),
         "30: the folder is not empty: choose another one",
         "31: no mark there: list marks shows which there are",
         "32: not enough space: another folder, or --map MEMBER=DIR for one member"});
}

} // namespace

bool tells_the_same(std::string_view one, std::string_view other)
{
    auto lasting = [](std::string_view text) {
        std::string out;
        while (!text.empty()) {
            auto line = text.substr(0, text.find('\n'));
            text.remove_prefix(std::min(line.size() + 1, text.size()));
            if (line.starts_with(kWritten) || line.find(kNewest) != line.npos ||
                line.find(kLogRoom) != line.npos)
                continue;
            out.append(line).push_back('\n');
        }
        return out;
    };
    return lasting(one) == lasting(other);
}

std::string render_sheet(const SheetFacts& facts, SheetFormat format)
{
    Page page(format);
    page.title(fmt::format("Recovery sheet: group {}", facts.group));
    page.paragraph(fmt::format("{}{} by {} on {}. Keep it on paper, away from these hosts.",
                               kWritten, base::format_time_human(facts.written), facts.program,
                               facts.host));
    add_state(page, facts);
    add_needs(page, facts);
    add_commands(page, facts);
    add_several_hosts(page, facts);
    add_checks(page, facts);
    add_trouble(page);
    return page.text();
}

} // namespace tidemark::app
