#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tidemark::job {

/// Where a job tells what it is doing. May be called from several threads.
class Progress {
public:
    virtual ~Progress() = default;
    /// `who` (a member, or the group's name) enters a stage; total 0 means unknown. Bytes count
    /// what is at the target of the stage; where that is not durable yet, a stage "make durable"
    /// follows.
    virtual void stage(std::string_view who, std::string_view what,
                       std::uint64_t total_bytes = 0) = 0;
    virtual void advance(std::string_view who, std::uint64_t done_bytes) = 0;
    virtual void finished(std::string_view who) = 0;
    /// Something worth a line in the log.
    virtual void note(std::string_view text) = 0;
    /// Something that makes the job end with warnings (exit 3).
    virtual void warn(std::string_view text) = 0;
};

} // namespace tidemark::job
