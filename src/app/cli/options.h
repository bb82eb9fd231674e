#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace tidemark::app {

/// The command line, parsed. Which fields matter depends on `command`.
struct Options {
    std::string command; ///< "backup", "list", ...

    std::optional<std::filesystem::path> config;
    std::string repository; ///< --repo: path or URL
    bool json = false;
    bool quiet = false;
    bool verbose = false;

    std::string group;                ///< positional or --group; empty = the only one
    std::string subject;              ///< list WHAT, show ID, audit MARK
    std::optional<std::size_t> limit; ///< list: so many of the newest; 0: all; absent: 100
    std::string gid;                  ///< audit --explain

    // init
    std::vector<std::string> urls;
    std::map<std::string, std::string> data_dirs; ///< MEMBER=PATH
    std::string role = "tidemark";
    bool print_sql = false;
    bool apply_sql = false;
    bool unbounded = false;
    bool new_repository = false;

    // add-member, leave
    std::string member;
    bool yes = false;

    // status, check
    bool exit_code = false;
    bool nagios = false;
    std::optional<std::filesystem::path> metrics;

    // mark, backup
    std::string mark_name;
    std::string at;    ///< mark: a time in the past
    std::string note;  ///< hold
    std::string until; ///< hold
    unsigned jobs = 0; ///< 0 = as many as cores

    // restore
    std::string to = "latest";
    std::filesystem::path dir;
    std::map<std::string, std::string> map;         ///< MEMBER=DIR
    std::map<std::string, std::string> tablespaces; ///< MEMBER:OID=DIR
    std::string user;
    std::optional<std::filesystem::path> bin_dir;
    std::vector<std::string> preload;
    std::optional<std::filesystem::path> decisions;
    std::string in_doubt = "settle"; ///< settle | keep
    bool plan = false;
    bool start = false;
    bool force = false;
    bool discard = false;
    bool as_production = false;
    std::vector<std::string> only; ///< members
    bool alone = false;
    bool open = false;
    bool instead = false;
    std::string forget; ///< restore-3

    // drill
    std::optional<std::filesystem::path> assertions; ///< --sql
    std::optional<std::filesystem::path> report;     ///< drill, show
    bool keep_scratch = false;

    // sheet
    std::string format = "markdown";
    std::optional<std::filesystem::path> output;

    // fetch-log (called by PostgreSQL)
    std::filesystem::path fetch_plan;
    std::string log_name;
    std::string log_target;

    // demo
    unsigned members = 3;
    unsigned seconds = 15;
    std::optional<std::uint64_t> seed;
    std::optional<std::filesystem::path> keep;
};

/// Parses argv. `finished` is set when there is nothing to do (help, version) and `code` is the
/// exit code then.
struct Parsed {
    Options options;
    bool finished = false;
    int code = 0;
};
Parsed parse_command_line(int argc, const char* const* argv);

/// Shows the tree of commands and options to whoever makes something of it (completion, manual).
void with_command_tree(const std::function<void(const CLI::App&)>& look);

/// Completion script for "bash", "zsh" or "fish", made from the option tree.
std::string completion(const std::string& shell);

/// The manual page tidemark(1), made from the option tree; roff with man(7) macros.
std::string manual_page();

std::string version_text();

} // namespace tidemark::app
