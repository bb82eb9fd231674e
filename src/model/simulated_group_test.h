#pragma once

#include "model/cut.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace tidemark::model {

/// A group of servers with coordinators at work, in one real time that only the simulation knows.
/// It remembers which branch belongs to which transaction, so it can tell what a cut really
/// contains.
class SimulatedGroup {
public:
    struct Options {
        std::uint64_t seed = 1;
        std::size_t members = 2;
        std::size_t joining = 0; ///< how many of them join later
        std::size_t workers = 2;
        bool reuse_ids = false;
        bool same_participants = false; ///< an id used again is used by the same members
        bool many_branches = false;     ///< up to two branches of a transaction at one member
        bool losses = false;            ///< logs get gaps
        bool failovers = false;         ///< members lose the end of their log
        std::size_t prehistory = 6;     ///< steps before the logs are kept
        base::Duration max_skew{};
        std::optional<base::Duration> clock_error{}; ///< no clock readings without
        bool lying_clocks = false;                   ///< readings that deny the skew
    };

    struct TrueBranch {
        std::size_t transaction = 0;
        std::size_t member = 0;
        std::string gid;
        std::uint32_t xid = 0;
        std::optional<Offset> prepare_start{};
        Offset prepare_end = 0;
        Finish finish = Finish::open;
        Offset finish_start = 0;
        Offset finish_end = 0;
        base::Time prepared_at{};
        bool asked = false; ///< its prepare was sent or given up
        /// A failover took its prepare; what follows on the new timeline knows nothing of it.
        bool lost = false;
        bool loss_stored = false; ///< and the log that it took is stored
        bool in(Offset at) const { return prepare_start && prepare_end <= at; }
        bool committed_in(Offset at) const
        {
            return finish == Finish::committed && finish_end <= at;
        }
        bool over_in(Offset at) const { return finish != Finish::open && finish_end <= at; }
    };
    struct Transaction {
        std::string id;
        std::vector<std::size_t> branches{}; ///< in order of preparing, then of finishing
        enum class State { preparing, committing, aborting, orphan, done } state = State::preparing;
        bool told = false; ///< a failover took a commit of it, and the log that it took is stored
    };

    explicit SimulatedGroup(Options options);

    /// Starts the logs: seeds, chains, anchor.
    void begin();
    void run(std::size_t steps);
    /// One more member joins, if one is left; its log begins here.
    bool join();
    /// A member's log is lost up to now and begins again.
    void lose_log();
    /// A standby that lacks the last records, though none before `from`, takes the member's place.
    /// Coordinators that are done do not come back.
    void fail_over(std::size_t member, Offset from);
    /// Reads b, places r, reads e on all members while the coordinators go on.
    CutInput place_mark(const OpenTransactions* previous);
    /// Its table is the next `previous`, so the anchor is of the past, and the tails.
    void mark_is_placed();

    const std::vector<TrueBranch>& branches() const { return branches_; }
    const std::vector<Transaction>& transactions() const { return transactions_; }
    /// Starts of all records of a member up to `limit`.
    std::vector<Offset> record_starts(std::size_t member, Offset limit) const;
    std::size_t member_count() const { return joined_; }
    std::string member_name(std::size_t member) const { return "m" + std::to_string(member); }
    std::size_t random(std::size_t below)
    {
        return std::uniform_int_distribution<std::size_t>(0, below - 1)(random_);
    }
    bool chance(unsigned percent) { return random(100) < percent; }

private:
    struct Server {
        Offset position = 100;
        std::vector<std::pair<Offset, Offset>> records{};
        std::vector<TransactionEvent> events{};
        std::uint32_t next_xid = 700;
        base::Duration skew{};
        Offset complete_since = 0;
        std::vector<Seed> seeds{};
        Epoch epoch = 1;
        std::vector<History::Step> left{};
        std::vector<TransactionEvent> tails{}; ///< stored, and abandoned since the last mark
    };

    Offset write(std::size_t member);
    void step();
    void start_transaction(std::size_t worker);
    void advance(Transaction& transaction);
    void prepare(TrueBranch& branch);
    void finish(TrueBranch& branch, bool commit);
    void begin_log(std::size_t member);
    void drop_anchor();
    std::map<std::uint32_t, Seed> list_prepared(std::size_t member) const;
    Sweep sweep(Offset Server::* position);
    std::vector<std::size_t> shuffled_members();
    bool id_is_free(const std::string& id) const;

    Options options_;
    std::mt19937_64 random_;
    std::vector<Server> servers_;
    std::vector<TrueBranch> branches_;
    std::vector<Transaction> transactions_;
    std::vector<std::optional<std::size_t>> working_;
    std::map<std::string, std::vector<std::size_t>> participants_; ///< by id
    std::size_t joined_ = 0;
    std::vector<Sweep> anchor_;
    base::Time now_;
};

} // namespace tidemark::model
