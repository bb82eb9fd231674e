#include "app/demo/bank_check.h"

#include "base/error.h"
#include "engine/postgres/pq.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>
#include <unordered_map>

namespace tidemark::app {

namespace {

using engine::postgres::Connection;
using engine::postgres::Wait;
using namespace std::chrono_literals;

constexpr auto kCheckPatience = 120s;
constexpr std::size_t kMostExamples = 10;

std::int64_t number(const engine::postgres::Result& result, int row, int column)
{
    auto value = result.integer(row, column);
    if (!value) throw base::Error{base::Code::failed, "the bank's books hold an empty value"};
    return *value;
}

void read_database(const BankOptions& options, const std::string& url, const std::string& database,
                   BankBooks& books)
{
    auto connection = Connection::open(url, {.dbname = database, .application_name = "bank_check"});
    // One statement, one snapshot: the balances and the rows belong together.
    auto result = connection.exec("SELECT 0 AS kind, count(*), sum(balance)::bigint, 0"
                                  " FROM public.account"
                                  " UNION ALL SELECT 1, id, participants, delta"
                                  " FROM public.transfer",
                                  Wait::within(kCheckPatience));
    for (int row = 0; row < result.rows(); ++row) {
        if (number(result, row, 0) == 0) {
            books.opening += number(result, row, 1) * options.opening_balance;
            books.balance += number(result, row, 2);
        } else {
            books.rows.push_back({.id = static_cast<std::uint64_t>(number(result, row, 1)),
                                  .participants = static_cast<int>(number(result, row, 2)),
                                  .delta = number(result, row, 3)});
        }
    }
}

/// What all members together hold of one transfer.
struct Found {
    int rows = 0;
    int participants = 0;
    std::int64_t delta = 0;
    bool consistent = true; ///< all rows name the same number of participants
};

using FoundById = std::unordered_map<std::uint64_t, Found>;

FoundById collect(const std::vector<BankBooks>& books)
{
    FoundById found;
    for (const auto& member : books) {
        for (const auto& row : member.rows) {
            auto& entry = found[row.id];
            if (entry.rows > 0 && entry.participants != row.participants) entry.consistent = false;
            entry.participants = row.participants;
            entry.delta += row.delta;
            ++entry.rows;
        }
    }
    return found;
}

void count_member(BankVerdict& verdict, const BankBooks& books)
{
    verdict.total += books.balance;
    verdict.balance[books.member] = books.balance;
    verdict.in_doubt += books.in_doubt.size();
    std::int64_t moved = 0;
    for (const auto& row : books.rows)
        moved += row.delta;
    if (books.opening + moved != books.balance) ++verdict.unbalanced;
}

class Judge {
public:
    Judge(BankVerdict& verdict, const std::vector<Transfer>& transfers,
          std::set<std::string> in_doubt, const std::optional<MarkWindow>& window)
        : verdict_(verdict), transfers_(transfers), in_doubt_(std::move(in_doubt)), window_(window)
    {
    }

    void found(std::uint64_t id, const Found& found)
    {
        ++verdict_.present;
        if (id == 0 || id > transfers_.size() || !found.consistent ||
            found.participants != transfers_[id - 1].participants ||
            found.rows > found.participants) {
            note(verdict_.strangers, id, "is none of ours");
            return;
        }
        const auto& transfer = transfers_[id - 1];
        if (found.rows < found.participants) {
            bool prepared = in_doubt_.contains(transfer.gid);
            note(prepared ? verdict_.torn_in_doubt : verdict_.torn, id,
                 fmt::format("is on {} of {} participants", found.rows, found.participants));
        } else if (found.delta != 0) {
            note(verdict_.strangers, id, fmt::format("creates {} of money", found.delta));
        }
        if (transfer.outcome == Outcome::rolled_back) note(verdict_.undead, id, "was rolled back");
        if (window_ && transfer.begun > window_->last_returned) {
            note(verdict_.too_new, id, "began after the mark");
        }
    }

    void acknowledged(const Transfer& transfer, const FoundById& all)
    {
        if (transfer.outcome != Outcome::committed) return;
        if (window_ && transfer.finished >= window_->first_sent) return;
        auto entry = all.find(transfer.id);
        if (entry != all.end() && entry->second.rows == transfer.participants) return;
        note(verdict_.missing, transfer.id, "was acknowledged before the mark and is missing");
    }

private:
    void note(std::uint64_t& counter, std::uint64_t id, const std::string& what)
    {
        ++counter;
        if (verdict_.examples.size() < kMostExamples) {
            verdict_.examples.push_back(fmt::format("transfer {} {}", id, what));
        }
    }

    BankVerdict& verdict_;
    const std::vector<Transfer>& transfers_;
    std::set<std::string> in_doubt_;
    const std::optional<MarkWindow>& window_;
};

} // namespace

bool BankVerdict::clean() const
{
    return money_conserved() && torn == 0 && torn_in_doubt == 0 && missing == 0 && too_new == 0 &&
           undead == 0 && strangers == 0 && unbalanced == 0;
}

std::string BankVerdict::describe() const
{
    return fmt::format("total {} of {}, {} transfers present, torn {}, torn with an in-doubt part "
                       "{}, in doubt {}, missing {}, too new {}, undead {}, strangers {}, "
                       "unbalanced {}{}{}",
                       total, expected_total, present, torn, torn_in_doubt, in_doubt, missing,
                       too_new, undead, strangers, unbalanced, examples.empty() ? "" : "; ",
                       fmt::join(examples, ", "));
}

BankBooks read_books(const BankOptions& options, const BankMember& member)
{
    return base::with_context("member " + member.name, [&] {
        BankBooks books{.member = member.name};
        for (const auto& database : bank_databases(options))
            read_database(options, member.url, database, books);
        auto connection = Connection::open(member.url, {.application_name = "bank_check"});
        auto result = connection.exec("SELECT gid FROM pg_catalog.pg_prepared_xacts ORDER BY 1");
        for (int row = 0; row < result.rows(); ++row)
            books.in_doubt.emplace_back(result.get(row, 0));
        return books;
    });
}

BankVerdict judge_books(const BankOptions& options, const std::vector<BankBooks>& books,
                        const std::vector<Transfer>& transfers,
                        const std::optional<MarkWindow>& window)
{
    BankVerdict verdict{.expected_total = bank_total(options)};
    std::set<std::string> in_doubt;
    for (const auto& member : books) {
        count_member(verdict, member);
        for (const auto& gid : member.in_doubt)
            in_doubt.insert(bank_global_id(options, gid));
    }
    auto found = collect(books);
    Judge judge{verdict, transfers, std::move(in_doubt), window};
    std::vector<std::uint64_t> ids; // in order, so that two runs print the same examples
    for (const auto& [id, entry] : found)
        ids.push_back(id);
    std::ranges::sort(ids);
    for (auto id : ids)
        judge.found(id, found.at(id));
    for (const auto& transfer : transfers)
        judge.acknowledged(transfer, found);
    return verdict;
}

BankVerdict check_bank(const BankOptions& options, const Witness& witness,
                       const std::optional<MarkWindow>& window)
{
    std::vector<BankBooks> books;
    for (const auto& member : options.members)
        books.push_back(read_books(options, member));
    return judge_books(options, books, witness.transfers(), window);
}

} // namespace tidemark::app
