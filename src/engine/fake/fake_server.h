#pragma once

#include "base/error.h"
#include "engine/engine.h"
#include "engine/fake/fake_record.h"

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

namespace tidemark::engine::fake {

inline constexpr std::uint32_t kSegmentSize = 64 << 10;

struct FakeServerOptions {
    std::string name;
    std::string system_id = "7000000000000000001";
    base::Clock* clock = nullptr; ///< the system's when absent; not owned
    std::uint64_t slot_bound = std::uint64_t{1} << 30;
};

/// A database server that exists in memory only: a log, prepared transactions, files, one slot, and
/// faults on demand. Outlives its sessions like a real one. All calls are thread-safe.
class FakeServer {
public:
    explicit FakeServer(FakeServerOptions options);

    // --- what its clients do ---
    /// Appends about `bytes` of records that mean nothing; flushed.
    void noise(std::size_t bytes);
    /// As when wal_level was minimal for a while.
    void lower_wal_level();
    /// An ordinary transaction; returns its xid.
    std::uint32_t commit(const std::string& what = "");
    /// Returns the xid. A gid that is prepared already is Error{failed}.
    std::uint32_t prepare(const std::string& gid, const std::string& database = "shop",
                          const std::string& owner = "app");
    /// One that no log tells of, as if log had been missed.
    std::uint32_t prepare_unlogged(const std::string& gid);
    /// COMMIT PREPARED or ROLLBACK PREPARED.
    void finish(const std::string& gid, bool commit);
    void set_file(const std::string& path, base::Bytes content);
    /// Configuration outside the data directory, as a backup finds it.
    void set_captured(std::vector<CapturedFile> files);

    // --- what happens to servers ---
    /// Restarts from `at` of the present epoch on a new one: log behind it is abandoned.
    void promote(model::Offset at);
    /// At the end of its log.
    void promote();
    /// Somebody sets its clock; `clock` is not owned.
    void set_clock(base::Clock& clock);
    /// Log below `offset` is recycled, whatever the slot says.
    void discard_log_below(model::Offset offset);
    void lose_slot();
    /// Somebody else confirms log on our slot.
    void move_slot(model::Offset to);
    /// It is about to stop, and waits until all that it sent is confirmed.
    void wait_for_confirmation();
    /// Another cluster answers from now on.
    void change_system_id(const std::string& id);

    // --- faults; operations are named like the methods of Session, plus "connect", "next",
    //     "finish_log", "copy", "finish_backup" ---
    void set_unreachable(bool unreachable);
    /// Calls of `operation` wait for their deadline or stop token, or until this is taken back.
    void set_hanging(const std::string& operation, bool hanging);
    /// The call of `operation` after the next `skip` ones throws.
    void fail(const std::string& operation, const base::Error& error, int skip = 0);
    /// Called before each operation, outside of all locks; may throw, and may use this object.
    void on_operation(std::function<void(const std::string&)> hook);

    // --- what a test looks at ---
    model::LogPosition insert_position() const;
    base::Bytes log(model::Epoch epoch, model::Offset from, model::Offset to) const;
    SlotState slot() const;
    std::vector<PreparedBranch> prepared() const;
    const std::string& name() const { return options_.name; }

private:
    friend class FakeSession;
    friend class FakeLogSource;
    friend class FakeBackup;

    struct EpochLog {
        model::Epoch epoch = 1;
        model::Offset begin = kSegmentSize;
        base::Bytes bytes; ///< from `begin` on
        std::optional<model::Offset> left_at;
    };
    struct Fault {
        base::Error error;
        int skip = 0;
    };

    /// Hook, faults, hanging; called by every operation before it takes the lock.
    void enter(const std::string& operation, std::chrono::steady_clock::time_point deadline,
               const std::stop_token& stop);
    base::Time now() const;
    model::Offset append(Record record); ///< locked; returns its start
    model::Offset insert() const;        ///< locked
    EpochLog& current() { return epochs_.back(); }
    const EpochLog& current() const { return epochs_.back(); }
    const EpochLog& epoch_log(model::Epoch epoch) const;
    std::string history_text(model::Epoch epoch) const;
    SlotState slot_state() const;

    FakeServerOptions options_;
    mutable std::mutex mutex_;
    mutable std::condition_variable_any changed_;
    std::vector<EpochLog> epochs_;
    model::Offset flushed_ = kSegmentSize;
    model::Offset oldest_ = kSegmentSize;
    std::uint32_t next_xid_ = 700;
    std::map<std::string, PreparedBranch> prepared_;
    /// What was prepared from each position on, as far as that is of this timeline.
    std::map<model::Offset, std::map<std::string, PreparedBranch>> prepared_from_;
    std::map<std::string, base::Bytes> files_;
    std::vector<CapturedFile> captured_;
    std::optional<model::Offset> slot_;
    bool slot_lost_ = false;
    bool slot_active_ = false;
    bool unreachable_ = false;
    bool waits_for_confirmation_ = false;
    std::set<std::string> hanging_;
    std::multimap<std::string, Fault> faults_;
    std::function<void(const std::string&)> hook_;
};

} // namespace tidemark::engine::fake
