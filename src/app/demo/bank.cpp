#include "app/demo/bank.h"

#include "app/demo/bank_client.h"
#include "base/check.h"
#include "base/error.h"
#include "engine/postgres/pq.h"

#include <condition_variable>
#include <fmt/format.h>
#include <mutex>
#include <utility>

namespace tidemark::app {

namespace {

using engine::postgres::Connection;
using namespace std::chrono_literals;

/// Accounts beside the ordinary ones, so that the locks of orphans are in nobody's way.
constexpr unsigned kOrphanAccounts = 1000;

void rest(std::stop_token stop, base::Duration duration)
{
    if (duration <= base::Duration{}) return;
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock{mutex};
    never.wait_for(lock, std::move(stop), duration, [] { return false; });
}

void create_tables(const BankOptions& options, const std::string& url, const std::string& database)
{
    auto connection = Connection::open(url, {.dbname = database, .application_name = "bank"});
    connection.exec(fmt::format(
        "BEGIN;"
        "CREATE TABLE public.account (id int PRIMARY KEY, balance bigint NOT NULL)"
        " WITH (fillfactor = 50);"
        "CREATE TABLE public.transfer (id bigint PRIMARY KEY, participants int NOT NULL,"
        " delta bigint NOT NULL);"
        "CREATE TABLE public.note (transfer bigint NOT NULL, n int NOT NULL);"
        "INSERT INTO public.account SELECT n, {} FROM generate_series(0, {}) AS n;"
        "COMMIT",
        options.opening_balance, options.accounts + kOrphanAccounts - 1));
}

/// A member's branch of an orphan: work and PREPARE, and then nobody comes.
void prepare_branch(const BankOptions& options, const Branch& branch, std::uint64_t id)
{
    auto connection = Connection::open(options.members[branch.member].url,
                                       {.dbname = "bank", .application_name = "bank"});
    connection.exec("BEGIN;" + branch_work(branch, id, 2));
    connection.exec("PREPARE TRANSACTION " + Connection::literal(branch.gid));
}

} // namespace

std::vector<std::string> bank_databases(const BankOptions& options)
{
    if (options.two_databases) return {"bank", "bank2"};
    return {"bank"};
}

void create_bank(const BankOptions& options)
{
    for (const auto& member : options.members) {
        base::with_context("member " + member.name, [&] {
            auto connection = Connection::open(member.url, {.application_name = "bank"});
            for (const auto& database : bank_databases(options)) {
                connection.exec("CREATE DATABASE " + Connection::identifier(database));
                create_tables(options, member.url, database);
            }
        });
    }
}

std::int64_t bank_total(const BankOptions& options)
{
    auto accounts = static_cast<std::int64_t>(options.accounts) + kOrphanAccounts;
    auto databases = options.members.size() * bank_databases(options).size();
    return static_cast<std::int64_t>(databases) * accounts * options.opening_balance;
}

std::string bank_gid_pattern(const BankOptions& options)
{
    return options.two_databases ? R"(regex:^(.*)\.[0-9]+$)" : "identical";
}

std::string bank_global_id(const BankOptions& options, const std::string& gid)
{
    return options.two_databases ? gid.substr(0, gid.rfind('.')) : gid;
}

void leave_orphans(const BankOptions& options, Witness& witness, unsigned count, bool commit_first)
{
    CHECK(options.members.size() >= 2);
    for (unsigned n = 0; n < count; ++n) {
        auto gid = fmt::format("{}-orphan-{}", options.gid_prefix, witness.size() + 1);
        auto id = witness.begin(gid, 2);
        auto account = options.accounts + static_cast<unsigned>(id % kOrphanAccounts);
        Branch from{.member = n % options.members.size(), .account = account, .delta = -1};
        Branch to{.member = (n + 1) % options.members.size(), .account = account, .delta = 1};
        from.gid = options.two_databases ? gid + ".0" : gid;
        to.gid = options.two_databases ? gid + ".1" : gid;
        prepare_branch(options, from, id);
        prepare_branch(options, to, id);
        if (commit_first) {
            auto connection = Connection::open(options.members[from.member].url,
                                               {.dbname = "bank", .application_name = "bank"});
            connection.exec("COMMIT PREPARED " + Connection::literal(from.gid));
        }
        witness.finish(id, Outcome::unknown);
    }
}

struct Bank::Counters {
    std::atomic<std::uint64_t> committed = 0;
    std::atomic<std::uint64_t> rolled_back = 0;
    std::atomic<std::uint64_t> unknown = 0;
    std::atomic<std::uint64_t> crashes = 0;
    std::atomic<std::uint64_t> errors = 0;
    std::mutex mutex;
    std::string last_error;

    void add(const BankClient::Report& report)
    {
        if (report.outcome == Outcome::committed) ++committed;
        if (report.outcome == Outcome::rolled_back) ++rolled_back;
        if (report.outcome == Outcome::unknown) ++unknown;
        if (report.crashed) ++crashes;
        if (report.error.empty()) return;
        ++errors;
        std::lock_guard lock{mutex};
        last_error = report.error;
    }
};

namespace {

constexpr auto kRestAfterError = 50ms;
constexpr auto kFarewell = 3s; ///< how long stop() tries to finish what is still prepared

} // namespace

Bank::Bank(BankOptions options, Witness& witness)
    : options_(std::move(options)), witness_(witness), counters_(std::make_unique<Counters>())
{
    CHECK(!options_.members.empty() && options_.accounts > 0);
}

Bank::~Bank()
{
    stop();
}

void Bank::start()
{
    CHECK(clients_.empty());
    gate_.open();
    for (unsigned number = 0; number < options_.threads; ++number) {
        clients_.emplace_back([this, number](std::stop_token stop) {
            BankClient client{options_, witness_, number};
            while (gate_.enter(stop)) {
                client.settle(false);
                BankClient::Report report;
                bool blocked = client.blocked();
                if (!blocked) {
                    report = client.transfer();
                    counters_->add(report);
                }
                gate_.leave();
                rest(stop, blocked || !report.error.empty() ? kRestAfterError : options_.pace);
            }
            auto deadline = std::chrono::steady_clock::now() + kFarewell;
            while (!client.settle(true) && std::chrono::steady_clock::now() < deadline)
                rest({}, kRestAfterError);
        });
    }
}

void Bank::stop()
{
    for (auto& client : clients_)
        client.request_stop();
    gate_.open(); // a paused bank can be stopped too
    clients_.clear();
}

void Bank::pause()
{
    gate_.close();
}

void Bank::resume()
{
    gate_.open();
}

BankStats Bank::stats() const
{
    std::lock_guard lock{counters_->mutex};
    return {.committed = counters_->committed,
            .rolled_back = counters_->rolled_back,
            .unknown = counters_->unknown,
            .crashes = counters_->crashes,
            .errors = counters_->errors,
            .last_error = counters_->last_error};
}

} // namespace tidemark::app
