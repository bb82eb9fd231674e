#pragma once

#include "app/demo/bank.h"
#include "app/demo/bank_check.h"
#include "cli/tool.h"
#include "support/lab.h"

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

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
    /// The present moment, for `restore --to TIME`; remembered under `name` for check().
    base::Time moment(const std::string& name);
    /// Restores with --start and --json; servers are stopped by stop_restored().
    ToolRun restore(Tool::Arguments arguments, const std::string& dir) const;

    /// The bank as a restore that ended with `run` left it.
    app::BankOptions restored_bank(const ToolRun& run) const;
    /// The invariants at a restored mark.
    app::BankVerdict check(const ToolRun& run, const std::string& mark) const;
    app::BankVerdict check(const app::BankOptions& restored, const std::string& mark) const;

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

/// A small file system of its own; absent where mounting is not permitted.
class SmallDisk {
public:
    /// `options` as mount(8) takes them for tmpfs, "size=400m".
    SmallDisk(std::filesystem::path path, const std::string& options);
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;
    ~SmallDisk();
    bool mounted() const { return mounted_; }
    void read_only() const;
    void no_programs() const; ///< noexec
    void change(const std::string& options) const;
    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
    bool mounted_ = false;
};

/// A server of which no process runs on (SIGSTOP) until thaw() or the end of this object.
class Frozen {
public:
    explicit Frozen(const app::LabCluster& cluster);
    Frozen(const Frozen&) = delete;
    Frozen& operator=(const Frozen&) = delete;
    ~Frozen() { thaw(); }
    void thaw();

private:
    std::vector<pid_t> processes_;
};

/// Asks again and again, for up to half a minute.
bool eventually(const std::function<bool()>& condition);

/// What a drill that finds nothing exits with: not every server's package has pg_amcheck (it came
/// with 14), and a drill without it says so.
int drill_passed(const app::LabCluster& cluster);
bool has_amcheck(const app::LabCluster& cluster);

/// Every path below `folder` with its size, for "nothing was written".
std::map<std::string, std::uintmax_t> listing(const std::filesystem::path& folder);
/// Whether the server of a data directory is at work, and whether one below a restore's folder is.
bool server_runs(const std::filesystem::path& data_dir);
bool any_server_runs(const std::filesystem::path& dir);
/// Processes that work in the folder of a drill below `folder`; other suites may run drills, too.
std::vector<std::string> processes_of_drills(const std::filesystem::path& folder);
/// Ends the servers that run below a restore's folder, hard; nothing in them is worth more.
void stop_restored(const std::filesystem::path& dir);

} // namespace tidemark::support
