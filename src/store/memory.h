#pragma once

#include "base/error.h"
#include "store/storage.h"

#include <functional>
#include <map>
#include <mutex>

namespace tidemark::store {

/// The simulated end of a process: whoever sees it must stop as if killed.
class CrashError final : public base::Error {
public:
    CrashError() : Error(base::Code::failed, "the process was killed here (simulated)") {}
};

/// Objects in memory, for tests of everything that writes to a repository.
///
/// The crash model: writes, commits and removals count as steps. crash_at(k) makes the k-th step
/// from now, and whatever is asked of the store after it, throw CrashError; what was committed
/// before stays, what was being written is lost. reopen() is the next process. A test loops over k
/// until a run needs fewer steps.
class MemoryStorage final : public Storage {
public:
    MemoryStorage();
    /// Objects are dated and now() answers by `clock`, which must outlive the store.
    explicit MemoryStorage(base::Clock& clock);
    ~MemoryStorage() override;

    /// Whether the step at which the crash happens still takes effect (the answer is lost) or not.
    enum class Step { lost, applied };
    /// k counts from 1.
    void crash_at(std::size_t k, Step step = Step::lost);
    bool crashed() const;
    /// Ends the crash. Writers of before it can never commit.
    void reopen();
    /// Steps taken since the store was made.
    std::size_t steps() const;

    Traits traits() override;
    std::unique_ptr<ObjectWriter> create(std::string_view key) override;
    std::unique_ptr<base::ByteSource> open(std::string_view key,
                                           std::optional<Range> range = {}) override;
    std::optional<ObjectInfo> stat(std::string_view key) override;
    std::vector<ObjectInfo> list(std::string_view prefix) override;
    bool remove(std::string_view key) override;
    base::Time now() override;

private:
    class Writer;
    struct Object {
        std::shared_ptr<const base::Bytes> bytes;
        base::Time modified;
    };

    void require_alive() const;
    void require_no_clash(std::string_view key) const;
    void step(const std::function<void()>& effect);

    std::unique_ptr<base::Clock> own_clock_;
    base::Clock& clock_;
    mutable std::mutex mutex_;
    std::map<std::string, Object, std::less<>> objects_;
    std::size_t steps_ = 0;
    std::optional<std::size_t> crash_at_;
    Step crash_step_ = Step::lost;
    bool crashed_ = false;
    std::size_t life_ = 0;
};

} // namespace tidemark::store
