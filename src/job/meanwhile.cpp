#include "job/meanwhile.h"

#include "base/error.h"

#include <condition_variable>
#include <fmt/format.h>
#include <utility>

namespace tidemark::job {

namespace {

/// So often in a row is no restart of a server any more.
constexpr int kWorthAWarning = 3;

} // namespace

Meanwhile::Meanwhile(const Context& context, std::string what, base::Duration pause,
                     std::function<void(const Context&)> act)
    : aside_(context.progress), context_(context.telling(aside_)), what_(std::move(what)),
      pause_(pause), act_(std::move(act))
{
    context_.stop = {}; // it ends with the backup, never in the middle of a mark
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

void Meanwhile::Aside::note(std::string_view text)
{
    {
        std::lock_guard lock(mutex_);
        if (!noted_.emplace(text).second) return;
    }
    progress_.note(text);
}

void Meanwhile::Aside::forget()
{
    std::lock_guard lock(mutex_);
    noted_.clear();
}

Meanwhile::~Meanwhile()
{
    finish();
}

std::size_t Meanwhile::finish()
{
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
    return done_;
}

void Meanwhile::run(const std::stop_token& stop)
{
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    int failed = 0;
    while (true) {
        wake.wait_for(lock, stop, pause_, [] { return false; });
        if (stop.stop_requested()) return;
        try {
            act_(context_);
            ++done_;
            failed = 0;
            aside_.forget();
        } catch (const std::exception& error) {
            // Whoever holds the lease stores the log.
            const auto* known = dynamic_cast<const base::Error*>(&error);
            if (known != nullptr && known->code() == base::Code::lease_held) continue;
            // The root of this thread: nothing may end the backup that it runs beside.
            auto why = fmt::format("no {} while the full backup runs: {}", what_, error.what());
            if (++failed == kWorthAWarning)
                aside_.warn(fmt::format("{} ({} times in a row)", why, failed));
            else
                aside_.note(why);
        }
    }
}

} // namespace tidemark::job
