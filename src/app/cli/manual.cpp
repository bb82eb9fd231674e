#include "app/cli/option_words.h"
#include "app/cli/options.h"
#include "base/error.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <array>

namespace tidemark::app {

namespace {

using base::Code;

struct ExitStatus {
    Code code;
    const char* meaning;
};

/// In the order of docs/guide/exit-codes.md; a test compares the two.
constexpr std::array kExitStatus = {
    ExitStatus{Code::ok, "done"},
    ExitStatus{Code::failed, "it did not work; the last line of the message says what to try"},
    ExitStatus{Code::usage, "wrong arguments or configuration"},
    ExitStatus{Code::warnings, "done, but something wants your eyes"},
    ExitStatus{Code::not_restorable, "a fault in the repository costs marks or backups, what "
                                     "was asked for is damaged, or a restored member is not "
                                     "what the mark says"},
    ExitStatus{Code::lease_held, "another job is doing this right now"},
    ExitStatus{Code::repository_unreachable, "the repository cannot be read or written"},
    ExitStatus{Code::repository_newer, "a newer version of tidemark wrote the repository"},
    ExitStatus{Code::member_unreachable, "a server does not answer, or does not let us in"},
    ExitStatus{Code::member_not_ready,
               "a server answers but cannot be backed up or restored like this"},
    ExitStatus{Code::mark_not_placed, "a member missed the deadline; nothing is half visible"},
    ExitStatus{Code::log_gap, "log that is needed was recycled before it was stored"},
    ExitStatus{Code::identity_mismatch,
               "another cluster, or another history of it, than the one in the repository"},
    ExitStatus{Code::target_not_empty, "the restore target holds files"},
    ExitStatus{Code::point_not_reachable, "no mark, backup or log leads there"},
    ExitStatus{Code::out_of_space, "a disk is full: the repository's, the target's or a server's"},
    ExitStatus{Code::cancelled, "interrupted"},
};

/// Text for roff: nothing in it is a request, and hyphens can be copied.
std::string plain(std::string_view text)
{
    std::string out;
    if (text.starts_with('.') || text.starts_with('\'')) out += "\\&";
    for (char c : text) {
        if (c == '\\')
            out += "\\e";
        else if (c == '-')
            out += "\\-";
        else
            out += c;
    }
    return out;
}

std::string option_entry(const OptionWords& option)
{
    std::string names;
    if (!option.short_name.empty()) names = "\\-" + option.short_name;
    if (!option.long_name.empty())
        names += (names.empty() ? "\\-\\-" : ", \\-\\-") + plain(option.long_name);
    std::string out = ".TP\n.B " + names;
    if (!option.value.empty()) out += " \\fI" + plain(option.value) + "\\fR";
    out += "\n" + plain(option.help);
    if (!option.preset.empty()) out += fmt::format(" (default: {})", plain(option.preset));
    return out + "\n";
}

std::string positional_word(const OptionWords& positional)
{
    auto word = "\\fI" + plain(positional.value) + "\\fR";
    return positional.required ? word : "[" + word + "]";
}

std::string command_entry(const CommandWords& command)
{
    std::string head = "tidemark " + plain(command.name);
    std::string synopsis = fmt::format(".B {}\n", head);
    for (const auto& positional : command.positionals)
        synopsis += positional_word(positional) + "\n";
    if (!command.options.empty()) synopsis += "[\\fIOPTION\\fR...]\n";
    std::string sentence = command.help;
    if (!sentence.empty() && sentence.front() >= 'a' && sentence.front() <= 'z')
        sentence.front() = static_cast<char>(sentence.front() - 'a' + 'A');
    std::string out = fmt::format(".SS {}\n{}.PP\n{}{}\n", head, synopsis, plain(sentence),
                                  sentence.ends_with('?') || sentence.ends_with('.') ? "" : ".");
    for (const auto& option : command.options) {
        if (option.long_name != "help") out += option_entry(option);
    }
    return out;
}

constexpr const char* kDescription = R"(.SH DESCRIPTION
Tidemark backs up several PostgreSQL clusters together, so that all of them can be restored to one
point at which every transaction that spanned them is either there on all of them or on none.
.PP
It places
.IR marks :
a position in each cluster's write\-ahead log, computed from the logs themselves so that no
distributed transaction is cut in half, and stored together with the proof. Placing a mark blocks no
client. A restore brings every cluster to exactly its position, settles what was in doubt by
evidence, and opens the group only when all are there.
.PP
The clusters that are backed up together are a
.IR group ,
each of them a
.IR member .
Where a command takes a group, it may be left out when there is only one.
)";

constexpr const char* kFiles = R"(.SH FILES
.TP
.I ./tidemark.toml
.TQ
.I /etc/tidemark/tidemark.toml
The configuration: the first that is there, unless
.B \-\-config
or
.B TIDEMARK_CONFIG
names another. An example comes with the documentation.
.TP
.I ~/.pgpass
Passwords of the members' roles, see the documentation of libpq. They do not belong into the
configuration.
.TP
.I ~/.local/state/tidemark
.TQ
.I /var/lib/tidemark
The newest mark seen in each repository, the latter for root: a repository that was rolled back as a
whole is noticed. What the log guard must know while the repository is away. And the last run that
failed when it could not be recorded there.
.SH ENVIRONMENT
.TP
.B TIDEMARK_CONFIG
The configuration file.
.TP
.B XDG_STATE_HOME
Where the newest marks are remembered, instead of
.IR ~/.local/state .
.TP
.B NO_COLOR
No moving progress line on a terminal.
.PP
The variables of libpq (PGPASSFILE, PGSSLROOTCERT and so on) hold too.
.SH EXAMPLES
.nf
tidemark init orders=postgresql://tidemark@orders\-db/postgres \e
    billing=postgresql://tidemark@billing\-db/postgres \e
    \-\-repo /var/backups/tidemark \-\-group shop
tidemark check shop
tidemark backup shop
tidemark mark shop \-\-name before\-release
tidemark restore shop \-\-to before\-release \-\-dir /srv/restore \-\-plan
.fi
.SH SEE ALSO
.BR psql (1),
.BR pg_basebackup (1),
.BR systemd.timer (5)
.PP
The guide: what to do for every exit status and check, schedules, restores, the repository's format.
On Debian in
.IR /usr/share/doc/tidemark .
)";

} // namespace

std::string manual_page()
{
    std::string out = fmt::format(
        ".\\\" Made by tidemark itself from its option tree: tidemark manual\n"
        ".TH TIDEMARK 1 \"\" \"{}\" \"User Commands\"\n"
        ".SH NAME\ntidemark \\- synchronized backups of databases that share transactions\n"
        ".SH SYNOPSIS\n.B tidemark\n[\\fIOPTION\\fR...] \\fICOMMAND\\fR [\\fIARGUMENT\\fR...]\n",
        version_text());
    out += kDescription;
    with_command_tree([&](const CLI::App& app) {
        out += ".SH OPTIONS\nThey may stand before or behind any command.\n";
        for (const auto& option : words_of(app).options)
            out += option_entry(option);
        out += ".SH COMMANDS\n";
        for (const auto& command : commands_of(app))
            out += command_entry(command);
    });
    out += ".SH EXIT STATUS\n";
    for (const auto& [code, meaning] : kExitStatus) {
        out += fmt::format(".TP\n.B {} ({})\n{}\n", static_cast<int>(code), base::code_name(code),
                           plain(meaning));
    }
    out += kFiles;
    return out;
}

} // namespace tidemark::app
