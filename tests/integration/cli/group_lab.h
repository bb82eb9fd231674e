#pragma once

#include "app/demo/bank.h"
#include "app/demo/bank_check.h"
#include "cli/tool.h"
#include "support/lab.h"

#include <filesystem>
#include <map>
#include <string>

namespace tidemark::support {

/// Two clusters with a bank on them, a folder for the repository, and the program.
class GroupLab {
    app::LabFolder work_; // first: other members live in it

public:
    GroupLab();

    /// `arguments` with --config of this group.
    ToolRun run(Tool::Arguments arguments) const;
    base::Process spawn(Tool::Arguments arguments) const;
    /// init, with everything it needs. What is prepared before it is a seed.
    ToolRun init();
    /// Places a mark and remembers when, for check().
    ToolRun mark(const std::string& name);
    ToolRun backup(const std::string& name);
    /// Restores with --start and --json; servers are stopped by stop_restored().
    ToolRun restore(Tool::Arguments arguments, const std::string& dir) const;

    /// The bank as a restore that ended with `run` left it.
    app::BankOptions restored_bank(const ToolRun& run) const;
    /// The invariants at a restored mark.
    app::BankVerdict check(const ToolRun& run, const std::string& mark) const;

    void commits(const app::Bank& bank, std::uint64_t more) const;
    std::filesystem::path target(const std::string& dir) const { return folder() / dir; }
    const std::filesystem::path& folder() const { return work_.path(); }

    Lab lab;
    app::Witness witness;
    app::BankOptions bank;
    std::filesystem::path repository;
    std::filesystem::path config;
    Tool tool;

private:
    ToolRun timed(const std::string& name, const Tool::Arguments& arguments);

    std::map<std::string, app::MarkWindow> windows_;
};

/// Every path below `folder` with its size, for "nothing was written".
std::map<std::string, std::uintmax_t> listing(const std::filesystem::path& folder);
/// Ends the servers that run below a restore's folder, hard; nothing in them is worth more.
void stop_restored(const std::filesystem::path& dir);

} // namespace tidemark::support
