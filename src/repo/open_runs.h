#pragma once

#include "repo/lease.h"
#include "repo/runs.h"

#include <memory>
#include <string>
#include <vector>

namespace tidemark::repo {

/// A run that has begun and has not said that it ended.
struct OpenRun {
    std::string command;
    std::string host;
    std::int64_t pid = 0;
    base::Time started;     ///< by the store's clock, like:
    base::Time last_sign;   ///< of life
    bool broken_off = true; ///< else it is at work
    std::string activity;   ///< of the lease that tells it
};

/// Oldest first. Those broken off are here until the next run has recorded them.
std::vector<OpenRun> open_runs(store::Storage& storage, const std::string& group);

/// As history keeps it: exit code 1, ended at the last sign of life.
model::Run broken_off_run(const std::string& group, const OpenRun& run);

/// Records every run that was broken off, once each, and takes its trace away. Returns what it
/// recorded. Errors: those of the store.
std::vector<StoredRun> record_broken_off(store::Storage& storage, const std::string& group,
                                         const LeaseOwner& owner);

/// The trace of a run that is at work: a lease of its own, "run/1" to "run/16", so that it costs
/// two objects a place and none a run. Nothing when the store does not take it (read-only), or when
/// all places are taken: a run must not fail for its trace.
std::unique_ptr<Lease> leave_trace(store::Storage& storage, const std::string& group,
                                   const LeaseOwner& owner, const LeaseOptions& options = {});

} // namespace tidemark::repo
