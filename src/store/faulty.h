#pragma once

#include "base/error.h"
#include "store/storage.h"

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

namespace tidemark::store {

/// What a test can make fail. `read` and `write` are calls on sources and writers.
enum class Operation { create, write, commit, open, read, stat, list, remove, now };
inline constexpr std::size_t kOperations = 9;
std::string_view operation_name(Operation operation);

/// Passes everything on to another store and breaks what a test asked it to break. Safe for several
/// threads.
class FaultyStorage final : public Storage {
public:
    explicit FaultyStorage(std::shared_ptr<Storage> inner);
    ~FaultyStorage() override;

    /// `after` calls from now on succeed, then `times` calls fail.
    struct When {
        std::size_t after = 0;
        std::size_t times = 1;
    };
    static constexpr std::size_t kAlways = static_cast<std::size_t>(-1);
    void fail(Operation operation, base::Error error, When when);
    void fail(Operation operation, base::Error error) { fail(operation, std::move(error), {}); }
    /// Counts calls of every kind: for "fail the n-th call" loops.
    void fail_any(base::Error error, When when);

    /// create, commit and remove fail as on a read-only file system.
    void set_read_only(bool value);
    /// After so many more bytes every write is out of space.
    void set_space(std::uint64_t bytes);
    /// The object reads with one bit of the byte at `offset` changed.
    void corrupt(std::string_view key, std::uint64_t offset);
    /// The object reads, and shows in lists, as if it ended after `size` bytes.
    void cut(std::string_view key, std::uint64_t size);
    /// The object is not there.
    void hide(std::string_view key);
    /// Called before every call of the operation, outside all locks: to wait, to kill, to count.
    void before(Operation operation, std::function<void(std::string_view key)> hook);
    /// Takes back every fault.
    void heal();

    std::size_t calls(Operation operation) const;
    /// "commit <key>" and "remove <key>" in the order in which they succeeded.
    std::vector<std::string> trace() const;

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
    class Source;
    struct Fault {
        std::optional<Operation> operation;
        base::Error error;
        When when;
    };

    void enter(Operation operation, std::string_view key);
    void use_space(std::uint64_t bytes);
    bool hidden(std::string_view key) const;
    std::uint64_t visible_size(std::string_view key, std::uint64_t size) const;
    void note(std::string_view what, std::string_view key);

    std::shared_ptr<Storage> inner_;
    mutable std::mutex mutex_;
    std::vector<Fault> faults_;
    std::array<std::size_t, kOperations> calls_ = {};
    std::map<Operation, std::function<void(std::string_view)>> hooks_;
    bool read_only_ = false;
    std::optional<std::uint64_t> space_;
    std::multimap<std::string, std::uint64_t, std::less<>> corrupt_;
    std::map<std::string, std::uint64_t, std::less<>> cut_;
    std::map<std::string, bool, std::less<>> hidden_;
    std::vector<std::string> trace_;
};

} // namespace tidemark::store
