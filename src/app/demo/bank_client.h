#pragma once

#include "app/demo/bank.h"
#include "base/random.h"
#include "engine/postgres/pq.h"

#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

namespace tidemark::app {

/// Branch of a transfer: one transaction in one database.
struct Branch {
    std::size_t member = 0;
    std::size_t database = 0;
    unsigned account = 0;
    std::int64_t delta = 0; ///< money moved; all branches add up to 0
    std::string gid = {};
    bool subtransactions = false;
};

/// SQL of the work inside a branch's transaction, without BEGIN and the end.
std::string branch_work(const Branch& branch, std::uint64_t transfer, std::size_t participants);

/// One client of the bank: its connections, and the transfers it still has to bring to an end.
/// Used by one thread.
class BankClient {
public:
    struct Report {
        Outcome outcome = Outcome::running;
        bool crashed = false;
        std::string error = {}; ///< empty when nothing went wrong
    };

    BankClient(const BankOptions& options, Witness& witness, unsigned number);

    /// One transfer from begin to end. Errors of servers end up in the report.
    Report transfer();
    /// Tries to finish what earlier transfers left prepared; true when nothing is left. With
    /// `all`, without waiting for the time at which a crashed client would come back.
    bool settle(bool all);
    /// Too much is left prepared to begin anything new.
    bool blocked() const;

private:
    /// A transfer whose decision is known but has not reached every branch.
    struct Unsettled {
        std::uint64_t id = 0;
        std::string gid;
        std::vector<Branch> branches; ///< those to be finished
        bool commit = false;
        Instant not_before = {};
    };

    std::vector<Branch> plan();
    std::string next_gid();
    engine::postgres::Connection& connection(const Branch& branch);
    void execute(const Branch& branch, const std::string& sql);
    bool finish_branch(const Branch& branch, bool commit);
    Report local_transfer(const Branch& branch);
    Report distributed_transfer(std::vector<Branch> branches, const std::string& gid);
    Report end(std::uint64_t id, const std::string& gid, std::vector<Branch> branches, bool commit);
    void shuffle(std::vector<Branch>& branches);
    bool chance(double share) { return random_.unit() < share; }

    const BankOptions& options_;
    Witness& witness_;
    std::vector<std::string> databases_;
    unsigned number_;
    base::SeededRandom random_;
    std::uint64_t gid_counter_ = 0;
    std::map<std::pair<std::size_t, std::size_t>, engine::postgres::Connection> connections_;
    std::vector<Unsettled> unsettled_;
};

} // namespace tidemark::app
