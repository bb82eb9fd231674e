#pragma once

#include "job/context.h"

#include <cstddef>
#include <functional>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>

namespace tidemark::job {

/// What a job does again and again on a thread of its own while a long backup runs, so that the
/// servers' logs go on being stored. A failure is a note: the next turn may do. The third in a row
/// is a warning, for the end of the backup may be hours away; those that follow are notes again. A
/// note is not repeated before a turn went well.
class Meanwhile {
public:
    /// `act` first runs after one `pause`. `what` is for people: "mark". The context's progress
    /// gets notes and warnings only; everything it refers to outlives this.
    Meanwhile(const Context& context, std::string what, base::Duration pause,
              std::function<void(const Context&)> act);
    ~Meanwhile();
    Meanwhile(const Meanwhile&) = delete;
    Meanwhile& operator=(const Meanwhile&) = delete;

    /// Waits for a turn that is under way; how many succeeded.
    std::size_t finish();

private:
    /// Passes on what is worth reading beside the backup's own stages.
    class Aside final : public Progress {
    public:
        explicit Aside(Progress& progress) : progress_(progress) {}
        void stage(std::string_view, std::string_view, std::uint64_t) override {}
        void advance(std::string_view, std::uint64_t) override {}
        void finished(std::string_view) override {}
        void note(std::string_view text) override;
        void warn(std::string_view text) override { progress_.warn(text); }
        void forget(); ///< what was noted

    private:
        Progress& progress_;
        std::mutex mutex_;
        std::set<std::string, std::less<>> noted_;
    };

    void run(const std::stop_token& stop);

    Aside aside_;
    Context context_;
    std::string what_;
    base::Duration pause_;
    std::function<void(const Context&)> act_;
    std::size_t done_ = 0;
    std::jthread thread_;
};

} // namespace tidemark::job
