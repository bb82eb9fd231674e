#pragma once

#include "app/cli/environment.h"
#include "job/log_guard.h"
#include "repo/guard_memory.h"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace tidemark::app {

/// The log guard of one run, with what this host remembers for it: whose clusters the members are,
/// and what was dropped while no run could be recorded.
class RunGuard {
public:
    /// `folder` is where this host remembers; empty when it can nowhere.
    explicit RunGuard(Environment& environment,
                      const std::filesystem::path& folder = state_folder());
    RunGuard(const RunGuard&) = delete;
    RunGuard& operator=(const RunGuard&) = delete;

    /// Says what earlier runs dropped and the repository does not tell yet.
    void tell_earlier();
    void watch() { job::watch_held_log(group_); }
    /// To be called when the log could not be backed up.
    void relieve() { job::relieve_servers(group_); }
    /// From the thread that stores the log beside a full backup (job::LogFails).
    bool relieve_meanwhile(int in_a_row);
    /// The repository holds the log of these clusters: for when it is away.
    void remember_clusters();
    /// The run's record is in the repository, with all that was told.
    void recorded();

    /// What was dropped, then `message`.
    std::string first_of_all(const std::string& message) const;
    job::Absent& absent() { return *group_.absent; }

private:
    std::optional<job::KnownClusters> clusters();
    void note(const std::string& sentence);
    void tell_forgetful(const std::string& why);

    Environment& environment_;
    std::optional<repo::GuardMemory> memory_;
    job::GuardedGroup group_;
    std::vector<repo::GuardDeed> told_;
    std::vector<std::string> dropped_; ///< in this run
};

} // namespace tidemark::app
