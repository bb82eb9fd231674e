#pragma once

#include "app/demo/bank.h"
#include "app/demo/bank_check.h"
#include "base/error.h"
#include "job/progress.h"
#include "repo/marks.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace tidemark::app {

struct DemoOptions {
    unsigned members = 3;
    unsigned seconds = 15; ///< of load with marks, before the disaster
    std::uint64_t seed = 1;
    std::optional<std::filesystem::path>
        keep;           ///< everything stays there; otherwise a temporary folder
    std::string helper; ///< path of the tidemark program, for the log helper
    std::stop_token stop = {};
};

/// One way to restore, and what the bank says of it.
struct DemoResult {
    std::string name;
    std::string how;
    BankVerdict verdict;
    std::uint64_t torn() const { return verdict.torn + verdict.torn_in_doubt; }
};

struct DemoReport {
    std::uint64_t seed = 0;
    BankStats load;
    unsigned marks = 0;
    base::Duration last_spread{};
    std::string mark;
    std::size_t in_doubt = 0;
    base::Duration backup_time{}, restore_time{};
    DemoResult tidemark;
    std::vector<DemoResult> contrasts;
    bool proven() const { return tidemark.verdict.clean() && tidemark.verdict.in_doubt == 0; }
    /// What the program ends with: ok only when the proof holds. What the contrasts say is no
    /// part of it.
    base::Code outcome() const { return proven() ? base::Code::ok : base::Code::failed; }
};

/// Clusters, a bank, backups and marks under load, the end of all clusters, a restore to the last
/// mark, its proof, and the usual ways for contrast. Errors: base::Error.
DemoReport run_demo(const DemoOptions& options, job::Progress& progress);

} // namespace tidemark::app
