#include "job/meanwhile.h"

#include "base/error.h"

#include <condition_variable>
#include <fmt/format.h>
#include <utility>

namespace tidemark::job {

Meanwhile::Meanwhile(const Context& context, std::string what, base::Duration pause,
                     std::function<void(const Context&)> act)
    : aside_(context.progress), context_(context.telling(aside_)), what_(std::move(what)),
      pause_(pause), act_(std::move(act))
{
    context_.stop = {}; // it ends with the backup, never in the middle of a mark
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
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
    while (true) {
        wake.wait_for(lock, stop, pause_, [] { return false; });
        if (stop.stop_requested()) return;
        try {
            act_(context_);
            ++done_;
        } catch (const std::exception& error) {
            // Whoever holds the lease stores the log.
            const auto* known = dynamic_cast<const base::Error*>(&error);
            if (known != nullptr && known->code() == base::Code::lease_held) continue;
            // The root of this thread: nothing may end the backup that it runs beside.
            aside_.note(fmt::format("no {} while the full backup runs: {}", what_, error.what()));
        }
    }
}

} // namespace tidemark::job
