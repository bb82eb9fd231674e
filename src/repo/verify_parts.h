#pragma once

#include "repo/tombstones.h"
#include "repo/verify.h"

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <vector>

// The steps of verify(). For its sources only.
namespace tidemark::repo {

/// What several threads find. An object is blamed once, for the first thing found.
class Findings {
public:
    void fault(FaultKind kind, const std::string& object, const std::string& text,
               const std::string& member = "");
    void note(std::string text);
    void count(std::uint64_t objects) { objects_ += objects; }

    std::vector<Fault> take_faults();
    std::vector<std::string> take_notes();
    std::uint64_t objects() const { return objects_; }

private:
    mutable std::mutex mutex_;
    std::map<std::string, Fault> faults_; ///< by object
    std::vector<std::string> notes_;
    std::atomic<std::uint64_t> objects_{0};
};

/// Every commit object can be read, and follows the one before it; numbers that are absent are
/// those that `gone` (the newest tombstone) names.
void check_chains(store::Storage& storage, const RepositoryView& view, const model::Tombstone& gone,
                  Findings& findings);

/// Objects that no mark and no backup needs, but that hinder or protect while they are there:
/// leases, intents, claims, barriers. What is wrong with one is a note that says what it does.
void note_damaged_helpers(store::Storage& storage, const RepositoryView& view, Findings& findings);

/// Every object that manifests and sets name is there and holds what it must; adds those that are
/// not to the view, so that it says what there would be without the faults. Returns bytes read.
std::uint64_t check_data(store::Storage& storage, RepositoryView& view,
                         const model::Tombstone& gone, Findings& findings,
                         const VerifyOptions& options, const VerifyProgress& progress,
                         std::stop_token stop);

/// Fills in what each fault costs, and adds gaps in the log that cost something.
void weigh(RepositoryView& view, const model::Tombstone& gone, Findings& findings,
           VerifyReport& report);

/// Was all of this log given up, or is it held by `others`?
bool is_accounted_for(const model::Tombstone& gone, const std::string& member,
                      const model::LogRange& range, std::vector<model::LogRange> others = {});

} // namespace tidemark::repo
