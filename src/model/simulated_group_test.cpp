#include "model/simulated_group_test.h"

#include <algorithm>
#include <chrono>

namespace tidemark::model {

using std::chrono::microseconds;

SimulatedGroup::SimulatedGroup(Options options)
    : options_(options), random_(options.seed), servers_(options.members),
      working_(options.workers), joined_(options.members - options.joining),
      now_(std::chrono::hours{24 * 365 * 50})
{
    for (Server& server : servers_) {
        auto range = options_.max_skew.count();
        server.skew =
            microseconds{std::uniform_int_distribution<std::int64_t>(-range, range)(random_)};
    }
    run(options_.prehistory);
}

Offset SimulatedGroup::write(std::size_t member)
{
    Server& server = servers_[member];
    Offset start = server.position + (chance(10) ? 8 : 0); // a page header lies in between
    Offset end = start + 8 * (1 + random(4));
    server.records.emplace_back(start, end);
    server.position = end;
    return start;
}

void SimulatedGroup::run(std::size_t steps)
{
    for (std::size_t i = 0; i < steps; ++i)
        step();
}

void SimulatedGroup::step()
{
    now_ += microseconds{100 + random(2000)};
    if (chance(8)) {
        write(random(servers_.size()));
        return;
    }
    std::size_t worker = random(working_.size());
    if (!working_[worker]) {
        start_transaction(worker);
        return;
    }
    Transaction& transaction = transactions_[*working_[worker]];
    advance(transaction);
    if (transaction.state == Transaction::State::done ||
        transaction.state == Transaction::State::orphan) {
        working_[worker].reset();
    }
    // Somebody cleans up what a dead coordinator left.
    for (Transaction& orphan : transactions_) {
        if (orphan.state == Transaction::State::orphan && chance(3)) {
            orphan.state = Transaction::State::aborting;
            for (std::size_t b : orphan.branches)
                branches_[b].asked = true;
            while (orphan.state != Transaction::State::done)
                advance(orphan);
        }
    }
}

bool SimulatedGroup::id_is_free(const std::string& id) const
{
    return std::ranges::none_of(transactions_, [&](const Transaction& transaction) {
        return transaction.id == id && transaction.state != Transaction::State::done;
    });
}

void SimulatedGroup::start_transaction(std::size_t worker)
{
    std::string id = "t" + std::to_string(options_.reuse_ids ? random(options_.workers + 2)
                                                             : transactions_.size());
    if (!id_is_free(id)) return;
    std::vector<std::size_t> members = shuffled_members();
    members.resize(1 + random(members.size()));
    if (members.size() == 1 && chance(70)) members = shuffled_members();
    if (options_.same_participants) members = participants_.try_emplace(id, members).first->second;
    Transaction transaction{.id = id};
    for (std::size_t member : members) {
        std::size_t count = options_.many_branches ? 1 + random(2) : 1;
        for (std::size_t k = 0; k < count; ++k) {
            std::string gid = options_.many_branches ? id + "/" + std::to_string(k) : id;
            transaction.branches.push_back(branches_.size());
            branches_.push_back(
                {.transaction = transactions_.size(), .member = member, .gid = std::move(gid)});
        }
    }
    std::ranges::shuffle(transaction.branches, random_);
    working_[worker] = transactions_.size();
    transactions_.push_back(std::move(transaction));
}

void SimulatedGroup::advance(Transaction& transaction)
{
    using State = Transaction::State;
    if (transaction.state == State::preparing) {
        if (chance(3)) {
            transaction.state = chance(30) ? State::orphan : State::aborting;
            std::ranges::shuffle(transaction.branches, random_);
            return;
        }
        for (std::size_t b : transaction.branches) {
            if (branches_[b].asked) continue;
            prepare(branches_[b]);
            return;
        }
        transaction.state = chance(85) ? State::committing : State::aborting;
        std::ranges::shuffle(transaction.branches, random_);
        return;
    }
    bool commit = transaction.state == State::committing;
    for (std::size_t b : transaction.branches) {
        TrueBranch& branch = branches_[b];
        if (!branch.asked) { // a prepare that was on its way when its coordinator gave up
            branch.asked = true;
            if (chance(30)) {
                prepare(branch);
                return;
            }
        }
        if (branch.prepare_start && branch.finish == Finish::open) {
            finish(branch, commit);
            return;
        }
    }
    transaction.state = State::done;
}

void SimulatedGroup::prepare(TrueBranch& branch)
{
    Server& server = servers_[branch.member];
    branch.asked = true;
    branch.xid = server.next_xid++;
    branch.prepared_at = now_ + server.skew;
    branch.prepare_start = write(branch.member);
    branch.prepare_end = server.position;
    server.events.push_back({.kind = EventKind::prepare,
                             .epoch = server.epoch,
                             .start = *branch.prepare_start,
                             .end = branch.prepare_end,
                             .xid = branch.xid,
                             .gid = branch.gid,
                             .at = branch.prepared_at});
}

void SimulatedGroup::finish(TrueBranch& branch, bool commit)
{
    Server& server = servers_[branch.member];
    branch.finish = commit ? Finish::committed : Finish::rolled_back;
    branch.finish_start = write(branch.member);
    branch.finish_end = server.position;
    server.events.push_back({.kind = commit ? EventKind::commit : EventKind::rollback,
                             .epoch = server.epoch,
                             .start = branch.finish_start,
                             .end = branch.finish_end,
                             .xid = branch.xid,
                             .gid = {},
                             .at = now_ + server.skew});
}

std::map<std::uint32_t, Seed> SimulatedGroup::list_prepared(std::size_t member) const
{
    std::map<std::uint32_t, Seed> listed;
    for (const TrueBranch& branch : branches_) {
        if (branch.member != member || !branch.prepare_start || branch.finish != Finish::open)
            continue;
        listed[branch.xid] = {
            .xid = branch.xid, .gid = branch.gid, .prepared_at = branch.prepared_at};
    }
    return listed;
}

/// The list before the slot is made, the slot (whose log begins in the past), the list after it.
void SimulatedGroup::begin_log(std::size_t member)
{
    Server& server = servers_[member];
    auto before = list_prepared(member);
    run(random(3));
    server.complete_since = server.position;
    for (std::size_t back = random(4); back > 0 && back <= server.records.size(); --back) {
        server.complete_since = server.records[server.records.size() - back].first;
        break;
    }
    run(random(3));
    auto after = list_prepared(member);
    server.seeds.clear();
    for (auto& [xid, seed] : before) {
        seed.gone = !after.contains(xid);
        if (seed.gone) server.seeds.push_back(seed);
    }
    for (auto& [xid, seed] : after)
        server.seeds.push_back(seed);
}

void SimulatedGroup::begin()
{
    for (std::size_t member : shuffled_members())
        begin_log(member);
    drop_anchor();
}

void SimulatedGroup::drop_anchor()
{
    anchor_.clear();
    if (options_.reuse_ids || chance(80)) anchor_.push_back(sweep(&Server::position));
    if (!anchor_.empty() && chance(50)) anchor_.push_back(sweep(&Server::position));
}

bool SimulatedGroup::join()
{
    if (joined_ == servers_.size()) return false;
    begin_log(joined_);
    ++joined_;
    drop_anchor();
    return true;
}

void SimulatedGroup::lose_log()
{
    begin_log(random(joined_));
    drop_anchor();
}

void SimulatedGroup::fail_over(std::size_t member, Offset from)
{
    Server& server = servers_[member];
    std::size_t kept = server.records.size();
    for (std::size_t n = random(8); n > 0 && kept > 0; --n) {
        if (server.records[kept - 1].first < from) break;
        --kept;
    }
    Offset fork = kept < server.records.size() ? server.records[kept].first : server.position;
    bool stored = chance(70);
    for (TrueBranch& branch : branches_) {
        if (branch.member != member || !branch.prepare_start) continue;
        if (branch.finish != Finish::open && branch.finish_end > fork) {
            if (stored && branch.finish == Finish::committed)
                transactions_[branch.transaction].told = true;
            branch.finish = Finish::open;
            branch.finish_start = branch.finish_end = 0;
        }
        if (branch.prepare_end > fork) {
            server.next_xid = std::min(server.next_xid, branch.xid); // given out again
            branch.prepare_start.reset();
            branch.prepare_end = 0;
            branch.lost = true;
            branch.loss_stored = stored;
        }
    }
    auto tail =
        std::ranges::find_if(server.events, [&](const auto& event) { return event.end > fork; });
    if (stored) server.tails.insert(server.tails.end(), tail, server.events.end());
    server.events.erase(tail, server.events.end());
    server.records.resize(kept);
    server.position = fork;
    server.left.push_back({.epoch = server.epoch, .left_at = fork});
    ++server.epoch;
}

void SimulatedGroup::mark_is_placed()
{
    anchor_.clear();
    for (Server& server : servers_)
        server.tails.clear();
}

std::vector<std::size_t> SimulatedGroup::shuffled_members()
{
    std::vector<std::size_t> members(joined_);
    for (std::size_t m = 0; m < joined_; ++m)
        members[m] = m;
    std::ranges::shuffle(members, random_);
    return members;
}

Sweep SimulatedGroup::sweep(Offset Server::* position)
{
    Sweep positions;
    for (std::size_t member : shuffled_members()) {
        run(random(6));
        positions[member_name(member)] = servers_[member].*position;
    }
    return positions;
}

CutInput SimulatedGroup::place_mark(const OpenTransactions* previous)
{
    CutInput input{.previous = previous};
    input.anchor = anchor_;
    Sweep b = sweep(&Server::position);
    std::vector<std::pair<Offset, Offset>> points(joined_);
    for (std::size_t member : shuffled_members()) {
        run(random(8));
        Offset start = write(member);
        points[member] = {start, servers_[member].position};
    }
    Sweep e = sweep(&Server::position);
    run(random(6)); // the caller may hold more log than it needs
    for (std::size_t member = 0; member < joined_; ++member) {
        const Server& server = servers_[member];
        CutMember& one = input.members.emplace_back();
        one.b = b[member_name(member)];
        one.r = points[member].first;
        one.r_end = points[member].second;
        one.e = e[member_name(member)];
        one.log.name = member_name(member);
        one.log.complete_since = server.complete_since;
        one.log.seeds = server.seeds;
        if (options_.many_branches) one.log.pattern = GidPattern::parse("regex:([^/]+)/[0-9]");
        if (options_.clock_error) {
            auto range = options_.clock_error->count();
            auto wrong = std::uniform_int_distribution<std::int64_t>(-range, range)(random_);
            one.log.clock =
                ClockReading{.offset = options_.lying_clocks ? base::Duration{}
                                                             : server.skew + microseconds{wrong},
                             .error = *options_.clock_error};
        }
        for (const TransactionEvent& event : server.events) {
            if (event.end > server.complete_since) one.log.events.push_back(event);
        }
        one.log.history = History(server.epoch, server.left);
        one.log.events.insert(one.log.events.end(), server.tails.begin(), server.tails.end());
    }
    return input;
}

std::vector<Offset> SimulatedGroup::record_starts(std::size_t member, Offset limit) const
{
    std::vector<Offset> starts;
    for (const auto& [start, end] : servers_[member].records) {
        if (start <= limit) starts.push_back(start);
    }
    return starts;
}

} // namespace tidemark::model
