#pragma once

#include "job/progress.h"
#include "model/drill.h"

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace tidemark::job {

/// Passes everything on, and keeps when who was in which stage. Safe for several threads.
class StageRecorder final : public Progress {
public:
    /// `group` is the name under which stages of the whole group are told.
    StageRecorder(Progress& next, std::string group);

    void stage(std::string_view who, std::string_view what, std::uint64_t total_bytes) override;
    void advance(std::string_view who, std::uint64_t done_bytes) override;
    void finished(std::string_view who) override;
    void note(std::string_view text) override;
    void warn(std::string_view text) override;

    /// Ends what is still under way, then: all stages, in the order of their beginning.
    std::vector<model::DrillStage> take();
    base::Duration since_start() const;

private:
    void end(const std::string& who); ///< locked

    Progress& next_;
    std::string group_;
    std::chrono::steady_clock::time_point start_;
    std::mutex mutex_;
    std::map<std::string, std::size_t> open_; ///< by whom: index into stages_
    std::vector<model::DrillStage> stages_;
};

} // namespace tidemark::job
