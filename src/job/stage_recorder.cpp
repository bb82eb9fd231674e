#include "job/stage_recorder.h"

#include <utility>

namespace tidemark::job {

StageRecorder::StageRecorder(Progress& next, std::string group)
    : next_(next), group_(std::move(group)), start_(std::chrono::steady_clock::now())
{
}

base::Duration StageRecorder::since_start() const
{
    return std::chrono::duration_cast<base::Duration>(std::chrono::steady_clock::now() - start_);
}

void StageRecorder::end(const std::string& who)
{
    auto open = open_.find(who);
    if (open == open_.end()) return;
    auto& stage = stages_[open->second];
    stage.took = since_start() - stage.start;
    open_.erase(open);
}

void StageRecorder::stage(std::string_view who, std::string_view what, std::uint64_t total_bytes)
{
    {
        std::lock_guard lock(mutex_);
        std::string name(who);
        end(name);
        open_[name] = stages_.size();
        stages_.push_back({.member = name == group_ ? "" : name,
                           .name = std::string(what),
                           .start = since_start(),
                           .took = {}});
    }
    next_.stage(who, what, total_bytes);
}

void StageRecorder::advance(std::string_view who, std::uint64_t done_bytes)
{
    next_.advance(who, done_bytes);
}

void StageRecorder::finished(std::string_view who)
{
    {
        std::lock_guard lock(mutex_);
        end(std::string(who));
    }
    next_.finished(who);
}

void StageRecorder::note(std::string_view text)
{
    next_.note(text);
}

void StageRecorder::warn(std::string_view text)
{
    next_.warn(text);
}

std::vector<model::DrillStage> StageRecorder::take()
{
    std::lock_guard lock(mutex_);
    while (!open_.empty())
        end(open_.begin()->first);
    return std::exchange(stages_, {});
}

} // namespace tidemark::job
