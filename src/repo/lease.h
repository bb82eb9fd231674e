#pragma once

#include "base/clock.h"
#include "model/ids.h"
#include "repo/sequence.h"
#include "store/storage.h"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace tidemark::repo {

/// A process, told apart from every other one on its machine.
struct LeaseOwner {
    std::string host;
    std::string boot;          ///< the kernel's boot id
    std::string pid_namespace; ///< pids mean something only inside it
    std::int64_t pid = 0;
    std::uint64_t pid_start = 0; ///< clock ticks after boot
    std::string command;
    friend bool operator==(const LeaseOwner&, const LeaseOwner&) = default;

    static LeaseOwner this_process(std::string command);
};

enum class OwnerState { alive, dead, cannot_tell };
/// Looks the process up; another host, boot or namespace is `cannot_tell`.
OwnerState probe_owner(const LeaseOwner& owner);

/// What the newest object of an activity says.
struct LeaseState {
    std::string activity;
    model::Number number = 0; ///< of the object
    model::Number term = 0;   ///< number under which it was acquired: the fencing number
    bool held = false;        ///< false once released
    LeaseOwner owner;
    base::Time since;
    base::Duration ttl{0};
    /// How often in a row, this time included, it was taken and the work did not succeed; only
    /// where LeaseOptions::count_tries asked for it, else 0.
    std::uint64_t tries = 0;
    std::string token;  ///< tells an owner's objects from others'
    base::Time renewed; ///< by the store's clock
    base::Time expires() const { return renewed + ttl; }
};

/// The newest lease of an activity; empty when nobody ever held it.
std::optional<LeaseState> read_lease(store::Storage& storage, const std::string& group,
                                     const std::string& activity);
/// Held, not expired by the store's clock, and its owner not known to be dead.
bool is_in_force(const LeaseState& state, base::Time store_now);

struct LeaseOptions {
    base::Duration ttl = std::chrono::seconds{60};
    bool renew = true; ///< a thread renews at ttl/3; without it the owner calls renew()
    /// Counts the owners that ended without succeeded(), however they ended.
    bool count_tries = false;
    bool count_anew = false; ///< those before it were after something else
};

/// The right to work on one activity of a group: "log", "backup/<member>", "expire" (rules.md 31; a
/// restore holds none: docs/decisions/0009). Neither a directory nor a bucket can fence a paused
/// writer: so names of data hold number(), and check() is asked before anything is committed. All
/// members are thread-safe.
class Lease {
public:
    /// Error{lease_held} names the owner, since when and until when. An expired owner, and one on
    /// this machine that no longer runs, is succeeded at once.
    static std::unique_ptr<Lease> acquire(store::Storage& storage, const std::string& group,
                                          const std::string& activity, const LeaseOwner& owner,
                                          const LeaseOptions& options = {});
    ~Lease(); ///< releases; errors are logged only
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    const std::string& activity() const { return activity_; }
    /// The fencing number: higher than that of every earlier owner, the same across renewals.
    model::Number number() const { return term_; }
    LeaseStamp stamp() const { return {.activity = activity_, .number = term_}; }
    /// Known to have passed to somebody else.
    bool lost() const { return lost_; }
    /// Asks the store; Error{lease_held} when it is no longer ours. Renews when it has expired.
    void check() const;
    /// Creates the next object of ours; Error{lease_held} when somebody else was faster.
    void renew();
    void release();
    /// For one that counts tries, before it is released: the next one begins to count anew.
    void succeeded();
    /// The same: nothing was tried, the count is as it was before.
    void not_tried();

private:
    Lease(store::Storage& storage, std::string group, std::string activity);
    bool try_acquire(const LeaseOwner& owner, const LeaseOptions& options);
    bool advance(LeaseState next) const;
    void renew_locked() const;
    void keep_renewing(std::stop_token stop);
    [[noreturn]] void throw_lost() const;

    store::Storage& storage_;
    std::string group_;
    std::string activity_;
    mutable LeaseState mine_; ///< the newest object of ours
    model::Number term_ = 0;
    mutable std::atomic<bool> lost_ = false;
    bool released_ = false;
    mutable std::mutex mutex_;
    std::condition_variable_any wake_;
    std::jthread renewer_;
};

} // namespace tidemark::repo
