#include "app/demo/bank_client.h"

#include "base/error.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::app {

namespace {

using engine::postgres::Connection;
using engine::postgres::SqlError;
using engine::postgres::Wait;
using namespace std::chrono_literals;

constexpr auto kStatementPatience = 10s;
constexpr const char* kUndefinedObject = "42704"; // no such prepared transaction
constexpr std::size_t kReusedGids = 3;
constexpr std::size_t kMostUnsettled = 8;

} // namespace

std::string branch_work(const Branch& branch, std::uint64_t transfer, std::size_t participants)
{
    std::string sql =
        fmt::format("SET LOCAL lock_timeout = '2s';"
                    "UPDATE public.account SET balance = balance + {} WHERE id = {};"
                    "INSERT INTO public.transfer (id, participants, delta) VALUES ({}, {}, {});",
                    branch.delta, branch.account, transfer, participants, branch.delta);
    if (branch.subtransactions) {
        // Each block with a handler is a subtransaction, and its row gives it an id of its own.
        sql += fmt::format("DO $do$ BEGIN FOR i IN 1..100 LOOP BEGIN"
                           " INSERT INTO public.note (transfer, n) VALUES ({}, i);"
                           " EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $do$;",
                           transfer);
    }
    return sql;
}

BankClient::BankClient(const BankOptions& options, Witness& witness, unsigned number)
    : options_(options), witness_(witness), databases_(bank_databases(options)), number_(number),
      random_(options.seed * 1000003 + number)
{
}

Connection& BankClient::connection(const Branch& branch)
{
    auto key = std::pair{branch.member, branch.database};
    auto found = connections_.find(key);
    if (found != connections_.end() && found->second.broken()) {
        connections_.erase(found);
        found = connections_.end();
    }
    if (found == connections_.end()) {
        auto opened = Connection::open(
            options_.members[branch.member].url,
            {.dbname = databases_[branch.database], .application_name = "bank", .timeout = 5s});
        found = connections_.emplace(key, std::move(opened)).first;
    }
    return found->second;
}

void BankClient::execute(const Branch& branch, const std::string& sql)
{
    connection(branch).exec(sql, Wait::within(kStatementPatience));
}

std::string BankClient::next_gid()
{
    if (!options_.reuse_gids) {
        return fmt::format("{}-{}-{}", options_.gid_prefix, number_, ++gid_counter_);
    }
    // blocked() leaves one of them free.
    for (;;) {
        auto gid =
            fmt::format("{}-{}-{}", options_.gid_prefix, number_, ++gid_counter_ % kReusedGids);
        if (std::ranges::find(unsettled_, gid, &Unsettled::gid) == unsettled_.end()) return gid;
    }
}

void BankClient::shuffle(std::vector<Branch>& branches)
{
    for (std::size_t i = branches.size(); i > 1; --i)
        std::swap(branches[i - 1], branches[random_.below(i)]);
}

std::vector<Branch> BankClient::plan()
{
    std::size_t count = options_.members.size();
    std::size_t wanted = chance(options_.three_share) ? 3 : 2;
    if (chance(options_.local_share)) wanted = 1;
    std::vector<Branch> branches;
    for (std::size_t member = 0; member < count; ++member)
        branches.push_back({.member = member, .database = random_.below(databases_.size())});
    shuffle(branches);
    branches.resize(std::min(wanted, count));
    if (options_.two_databases && branches.size() > 1 && chance(0.3)) {
        branches.push_back(branches.front());
        branches.back().database = 1 - branches.front().database;
    }
    // One order for all clients: row locks of different members never wait in a circle.
    std::ranges::sort(branches, {}, [](const Branch& branch) {
        return std::pair{branch.member, branch.database};
    });
    auto amount = static_cast<std::int64_t>(1 + random_.below(20));
    for (auto& branch : branches) {
        branch.account = static_cast<unsigned>(random_.below(options_.accounts));
        branch.delta = branches.size() == 1 ? 0 : amount;
    }
    branches[random_.below(branches.size())].delta -=
        branches.size() == 1 ? 0 : amount * static_cast<std::int64_t>(branches.size());
    if (branches.size() > 1 && chance(options_.subtransaction_share)) {
        branches[random_.below(branches.size())].subtransactions = true;
    }
    return branches;
}

BankClient::Report BankClient::transfer()
{
    auto branches = plan();
    if (branches.size() == 1) return local_transfer(branches.front());
    auto gid = next_gid();
    for (std::size_t i = 0; i < branches.size(); ++i)
        branches[i].gid = options_.two_databases ? fmt::format("{}.{}", gid, i) : gid;
    return distributed_transfer(std::move(branches), gid);
}

BankClient::Report BankClient::local_transfer(const Branch& branch)
{
    auto id = witness_.begin({}, 1);
    Report report;
    bool committing = false;
    try {
        execute(branch, "BEGIN;" + branch_work(branch, id, 1));
        committing = true;
        execute(branch, "COMMIT");
        report.outcome = Outcome::committed;
    } catch (const base::Error& error) {
        report.outcome = committing ? Outcome::unknown : Outcome::rolled_back;
        report.error = error.what();
        connections_.erase({branch.member, branch.database});
    }
    witness_.finish(id, report.outcome);
    return report;
}

BankClient::Report BankClient::distributed_transfer(std::vector<Branch> branches,
                                                    const std::string& gid)
{
    auto id = witness_.begin(gid, static_cast<int>(branches.size()));
    std::size_t prepares_sent = 0;
    try {
        for (const auto& branch : branches)
            execute(branch, "BEGIN;" + branch_work(branch, id, branches.size()));
        for (const auto& branch : branches) {
            ++prepares_sent; // an answer that gets lost may have been a yes
            execute(branch, "PREPARE TRANSACTION " + Connection::literal(branch.gid));
        }
    } catch (const base::Error& error) {
        // Work that was never prepared ends with its connection.
        for (const auto& branch : branches)
            connections_.erase({branch.member, branch.database});
        branches.resize(prepares_sent);
        auto report = end(id, gid, std::move(branches), false);
        report.error = error.what();
        return report;
    }
    bool commit = !chance(options_.rollback_share);
    shuffle(branches);
    if (!chance(options_.crash_share)) return end(id, gid, std::move(branches), commit);

    // The client dies before its first or before its second message of phase two.
    Report report{
        .outcome = commit ? Outcome::unknown : Outcome::rolled_back, .crashed = true, .error = {}};
    if (chance(0.5) && finish_branch(branches.front(), commit)) branches.erase(branches.begin());
    connections_.clear();
    auto delay = base::Duration{static_cast<std::int64_t>(
        random_.below(static_cast<std::uint64_t>(options_.recovery_delay.count()) + 1))};
    unsettled_.push_back({.id = id,
                          .gid = gid,
                          .branches = std::move(branches),
                          .commit = commit,
                          .not_before = std::chrono::steady_clock::now() + delay});
    witness_.finish(id, report.outcome);
    return report;
}

BankClient::Report BankClient::end(std::uint64_t id, const std::string& gid,
                                   std::vector<Branch> branches, bool commit)
{
    std::erase_if(branches, [&](const Branch& branch) { return finish_branch(branch, commit); });
    // A rollback is final the moment it is decided: nobody will ever commit a branch of it.
    Report report{.outcome = commit ? Outcome::committed : Outcome::rolled_back};
    if (!branches.empty()) {
        if (commit) report.outcome = Outcome::unknown;
        report.error = "a participant did not answer in phase two";
        unsettled_.push_back(
            {.id = id, .gid = gid, .branches = std::move(branches), .commit = commit});
    }
    witness_.finish(id, report.outcome);
    return report;
}

/// True when the branch is known to be finished.
bool BankClient::finish_branch(const Branch& branch, bool commit)
{
    try {
        execute(branch, (commit ? "COMMIT PREPARED " : "ROLLBACK PREPARED ") +
                            Connection::literal(branch.gid));
        return true;
    } catch (const SqlError& error) {
        // Done before the answer got lost, or never prepared at all.
        if (error.sqlstate() == kUndefinedObject) return true;
    } catch (const base::Error&) {
        // No connection: later.
    }
    connections_.erase({branch.member, branch.database});
    return false;
}

bool BankClient::blocked() const
{
    return unsettled_.size() >= (options_.reuse_gids ? kReusedGids - 1 : kMostUnsettled);
}

bool BankClient::settle(bool all)
{
    auto now = std::chrono::steady_clock::now();
    for (auto& transfer : unsettled_) {
        if (!all && transfer.not_before > now) continue;
        std::erase_if(transfer.branches,
                      [&](const Branch& branch) { return finish_branch(branch, transfer.commit); });
        if (transfer.branches.empty() && transfer.commit) {
            witness_.finish(transfer.id, Outcome::committed);
        }
    }
    std::erase_if(unsettled_, [](const Unsettled& transfer) { return transfer.branches.empty(); });
    return unsettled_.empty();
}

} // namespace tidemark::app
