#pragma once

#include "app/demo/gate.h"
#include "app/demo/witness.h"
#include "base/clock.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace tidemark::app {

/// Where one member of the bank is reached.
struct BankMember {
    std::string name = {};
    std::string url = {}; ///< libpq's; its database is replaced by the bank's
};

struct BankOptions {
    std::vector<BankMember> members = {};
    std::uint64_t seed = 1;
    unsigned threads = 4;
    unsigned accounts = 1000; ///< per database
    std::int64_t opening_balance = 1000;
    double rollback_share = 0.05; ///< prepared everywhere, then rolled back on purpose
    double three_share = 0.2;     ///< three members instead of two, where there are three
    double local_share = 0.1;     ///< one member, an ordinary commit
    /// Distributed transfers with 100 subtransactions in one branch.
    double subtransaction_share = 0;
    /// The client loses all its connections between prepare and the last commit, and finishes its
    /// transactions up to `recovery_delay` later, as a transaction manager does after a crash.
    double crash_share = 0;
    base::Duration recovery_delay = std::chrono::milliseconds{300};
    /// A few gids are used over and over, also right after a failure.
    bool reuse_gids = false;
    /// Each member has two databases, and some transfers have a branch in both.
    bool two_databases = false;
    std::string gid_prefix = "bank";
    base::Duration pace = {}; ///< each client's rest after a transfer
};

struct BankStats {
    std::uint64_t committed = 0;
    std::uint64_t rolled_back = 0;
    std::uint64_t unknown = 0;
    std::uint64_t crashes = 0; ///< simulated ones of clients
    std::uint64_t errors = 0;  ///< statements refused or connections lost
    std::string last_error = {};
};

/// Databases of the bank on each member: "bank", and "bank2" with `two_databases`.
std::vector<std::string> bank_databases(const BankOptions& options);
/// Creates databases and tables and pays the opening balances in. Once per set of clusters.
void create_bank(const BankOptions& options);
/// What all balances of all members add up to, whatever happens.
std::int64_t bank_total(const BankOptions& options);
/// The `gid_pattern` that fits: "identical", or a regular expression when branches have suffixes.
std::string bank_gid_pattern(const BankOptions& options);
/// Global id of a branch's gid.
std::string bank_global_id(const BankOptions& options, const std::string& gid);

/// Prepares `count` transfers on two members each and walks away. They use accounts of their own,
/// so that the load can go on. With `commit_first` their first branch is committed.
void leave_orphans(const BankOptions& options, Witness& witness, unsigned count, bool commit_first);

/// A load of transfers that commit across members by two-phase commit, from several client threads.
/// Each transfer writes a row on every participant in the transaction that moves the money.
class Bank {
public:
    /// `witness` outlives the bank and may be used by several banks one after the other.
    Bank(BankOptions options, Witness& witness);
    Bank(const Bank&) = delete;
    Bank& operator=(const Bank&) = delete;
    ~Bank();

    void start();
    /// Clients finish what they are at; what servers that are gone leave open becomes `unknown`.
    void stop();
    /// Returns when no transfer is under way (those of crashed clients may still be prepared).
    void pause();
    void resume();
    BankStats stats() const;
    const BankOptions& options() const { return options_; }

private:
    struct Counters;

    BankOptions options_;
    Witness& witness_;
    Gate gate_;
    std::unique_ptr<Counters> counters_;
    std::vector<std::jthread> clients_;
};

} // namespace tidemark::app
