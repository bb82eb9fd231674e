#include "store/retrying.h"

#include "base/error.h"
#include "base/log.h"

#include <algorithm>
#include <condition_variable>
#include <fmt/format.h>
#include <mutex>

namespace tidemark::store {

namespace {

void sleep_unless_stopped(base::Duration time, std::stop_token stop)
{
    std::mutex mutex;
    std::condition_variable_any changed;
    std::unique_lock lock{mutex};
    changed.wait_for(lock, stop, time, [] { return false; });
}

/// How one store repeats its calls; shared with the sources that outlive a call.
class Retrier {
public:
    Retrier(base::Clock& clock, base::Random& random, RetryOptions options)
        : clock_(clock), random_(random), options_(std::move(options))
    {
        if (!options_.sleep) {
            options_.sleep = [stop = options_.stop](base::Duration time) {
                sleep_unless_stopped(time, stop);
            };
        }
    }

    template <typename Call> auto run(Call&& call) const
    {
        auto start = clock_.steady();
        base::Duration ceiling = options_.first_delay;
        for (int attempt = 1;; ++attempt) {
            try {
                return call();
            } catch (base::Error& error) {
                if (!error.transient()) throw;
                base::Duration pause = jittered(ceiling);
                bool late = clock_.steady() - start + pause > options_.deadline;
                if (late || options_.stop.stop_requested()) {
                    if (attempt > 1) error.add_context(fmt::format("after {} attempts", attempt));
                    throw;
                }
                base::log_debug("attempt {} failed, the next in {}: {}", attempt,
                                base::format_duration(pause), error.what());
                options_.sleep(pause);
                if (options_.stop.stop_requested()) throw;
            }
            ceiling = std::min(ceiling * 2, options_.longest_delay);
        }
    }

private:
    /// Between half the ceiling and the ceiling, so that many hosts do not come back at once.
    base::Duration jittered(base::Duration ceiling) const
    {
        auto most = static_cast<double>(ceiling.count());
        return base::Duration{static_cast<base::Duration::rep>(most * (1 + random_.unit()) / 2)};
    }

    base::Clock& clock_;
    base::Random& random_;
    RetryOptions options_;
};

class RetryingSource final : public base::ByteSource {
public:
    RetryingSource(std::shared_ptr<Storage> inner, std::shared_ptr<const Retrier> retrier,
                   std::string key, std::optional<Range> range,
                   std::unique_ptr<base::ByteSource> source)
        : inner_(std::move(inner)), retrier_(std::move(retrier)), key_(std::move(key)),
          left_(range.value_or(Range{0, UINT64_MAX})), source_(std::move(source))
    {
    }

    std::size_t read(base::ByteSpan into) override
    {
        std::size_t got = retrier_->run([&] {
            try {
                if (!source_) reopen();
                return source_->read(into);
            } catch (const base::Error&) {
                source_.reset();
                throw;
            }
        });
        left_.offset += got;
        left_.length -= std::min<std::uint64_t>(got, left_.length);
        return got;
    }

private:
    /// Objects are immutable, so the rest of it is the rest of what was being read.
    void reopen()
    {
        source_ = inner_->open(key_, left_);
        if (source_) return;
        throw base::Error{base::Code::failed,
                          fmt::format("{} was removed while it was read", key_)};
    }

    std::shared_ptr<Storage> inner_;
    std::shared_ptr<const Retrier> retrier_;
    std::string key_;
    Range left_;
    std::unique_ptr<base::ByteSource> source_;
};

class RetryingStorage final : public Storage {
public:
    RetryingStorage(std::shared_ptr<Storage> inner, std::shared_ptr<const Retrier> retrier)
        : inner_(std::move(inner)), retrier_(std::move(retrier))
    {
    }

    Traits traits() override
    {
        return retrier_->run([&] { return inner_->traits(); });
    }
    std::unique_ptr<ObjectWriter> create(std::string_view key) override
    {
        return retrier_->run([&] { return inner_->create(key); });
    }
    std::unique_ptr<base::ByteSource> open(std::string_view key,
                                           std::optional<Range> range) override
    {
        auto source = retrier_->run([&] { return inner_->open(key, range); });
        if (!source) return nullptr;
        return std::make_unique<RetryingSource>(inner_, retrier_, std::string(key), range,
                                                std::move(source));
    }
    std::optional<ObjectInfo> stat(std::string_view key) override
    {
        return retrier_->run([&] { return inner_->stat(key); });
    }
    std::vector<ObjectInfo> list(std::string_view prefix) override
    {
        return retrier_->run([&] { return inner_->list(prefix); });
    }
    std::vector<std::string> folders(std::string_view prefix) override
    {
        return retrier_->run([&] { return inner_->folders(prefix); });
    }
    bool remove(std::string_view key) override
    {
        return retrier_->run([&] { return inner_->remove(key); });
    }
    base::Time now() override
    {
        return retrier_->run([&] { return inner_->now(); });
    }

private:
    std::shared_ptr<Storage> inner_;
    std::shared_ptr<const Retrier> retrier_;
};

} // namespace

std::unique_ptr<Storage> make_retrying(std::shared_ptr<Storage> inner, base::Clock& clock,
                                       base::Random& random, RetryOptions options)
{
    auto retrier = std::make_shared<const Retrier>(clock, random, std::move(options));
    return std::make_unique<RetryingStorage>(std::move(inner), std::move(retrier));
}

} // namespace tidemark::store
