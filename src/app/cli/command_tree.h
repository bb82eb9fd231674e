#pragma once

#include "app/cli/options.h"

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace tidemark::app {

/// The tree of commands and options; completion and help come from it too. Parsing it fills
/// `options`, which outlive it.
class CommandTree {
public:
    explicit CommandTree(Options& options);

    CLI::App& app() { return app_; }
    /// The words of `audit`, [G] MARK, which no option can tell apart.
    const std::vector<std::string>& positional() const { return positional_; }

private:
    CLI::App* command(const std::string& name, const std::string& help);
    CLI::App* group_command(const std::string& name, const std::string& help);
    void add_jobs(CLI::App* sub, const std::string& help = "threads per member (16 in all)");
    void add_setup();
    void add_members();
    void add_work();
    void add_retention();
    void add_look();
    void add_restore();
    void add_several_hosts(CLI::App* restore);
    void add_report(CLI::App* sub, const std::string& help);
    void add_drill();
    void add_server(CLI::App* sub);
    void add_rest();

    Options& o_;
    CLI::App app_;
    std::vector<std::string> positional_;
};

} // namespace tidemark::app
