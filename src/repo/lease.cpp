#include "repo/lease.h"

#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "repo/layout.h"
#include "repo/lease_codec.h"

#include <fmt/format.h>

namespace tidemark::repo {

using base::Code;
using base::Error;

namespace {

constexpr std::size_t kMaxLeaseBytes = 64 << 10;
constexpr base::Duration kUnreadableTtl = std::chrono::minutes{5};
constexpr int kTries = 32;

/// Ascending.
std::vector<std::pair<model::Number, base::Time>>
list_leases(store::Storage& storage, const std::string& group, const std::string& activity)
{
    std::vector<std::pair<model::Number, base::Time>> out;
    for (const store::ObjectInfo& info : storage.list(leases_prefix(group, activity))) {
        auto key = parse_key(info.key);
        if (key && key->kind == KeyKind::lease && key->activity == activity)
            out.emplace_back(key->number, info.modified);
    }
    return out;
}

/// A damaged lease must neither block for ever nor be taken for no lease.
LeaseState unreadable_lease(const std::string& activity, model::Number number, base::Time renewed)
{
    LeaseState out;
    out.activity = activity;
    out.number = out.term = number;
    out.held = true;
    out.owner.host = "unknown, its object is damaged";
    out.since = out.renewed = renewed;
    out.ttl = kUnreadableTtl;
    return out;
}

/// Made by unreadable_lease(); every lease of ours has a token.
bool is_damaged(const LeaseState& state)
{
    return state.token.empty();
}

std::string describe(const LeaseState& state)
{
    const LeaseOwner& owner = state.owner;
    if (is_damaged(state)) return "somebody unknown: its object is damaged";
    return fmt::format("`{}` (process {} on {}) since {}", owner.command, owner.pid, owner.host,
                       base::format_time_human(state.since));
}

[[noreturn]] void throw_held(const std::string& group, const LeaseState& state)
{
    if (is_damaged(state)) {
        throw Error{Code::lease_held,
                    fmt::format("the lease object {} is damaged, so nobody can tell who holds it; "
                                "it counts as held until {}",
                                lease_key(group, state.activity, state.number),
                                base::format_time_human(state.expires())),
                    {.hint = "run the same command again then; nothing needs to be mended"}};
    }
    throw Error{Code::lease_held,
                fmt::format("the lease \"{}\" of group {} is held by {}", state.activity, group,
                            describe(state)),
                {.hint = fmt::format("let it finish; if it is gone, its lease ends by itself at {}",
                                     base::format_time_human(state.expires()))}};
}

} // namespace

std::optional<LeaseState> read_lease(store::Storage& storage, const std::string& group,
                                     const std::string& activity)
{
    for (int i = 0; i < kTries; ++i) {
        auto all = list_leases(storage, group, activity);
        if (all.empty()) return std::nullopt;
        auto [number, modified] = all.back();
        std::string key = lease_key(group, activity, number);
        auto bytes = store::get(storage, key, kMaxLeaseBytes);
        if (!bytes) continue; // trimmed by a newer owner meanwhile
        try {
            LeaseState state = decode_lease(*bytes, key, modified);
            if (state.number == number && state.activity == activity && state.term <= number)
                return state;
        } catch (const Error& error) {
            if (error.code() == Code::repository_newer) throw;
        }
        base::log_warning("{} is damaged; it counts as held for five minutes", key);
        return unreadable_lease(activity, number, modified);
    }
    throw Error{Code::failed,
                fmt::format("the lease \"{}\" of group {} changes too fast", activity, group),
                {.hint = "run the same command again", .transient = true}};
}

bool is_in_force(const LeaseState& state, base::Time store_now)
{
    return state.held && store_now < state.expires() &&
           probe_owner(state.owner) != OwnerState::dead;
}

Lease::Lease(store::Storage& storage, std::string group, std::string activity)
    : storage_(storage), group_(std::move(group)), activity_(std::move(activity))
{
}

std::unique_ptr<Lease> Lease::acquire(store::Storage& storage, const std::string& group,
                                      const std::string& activity, const LeaseOwner& owner,
                                      const LeaseOptions& options)
{
    std::unique_ptr<Lease> lease{new Lease{storage, group, activity}};
    int tries = 0;
    while (!lease->try_acquire(owner, options)) {
        if (++tries == kTries)
            throw Error{
                Code::lease_held,
                fmt::format("too many others want the lease \"{}\" of group {}", activity, group),
                {.hint = "run the same command again", .transient = true}};
    }
    if (options.renew)
        lease->renewer_ = std::jthread(
            [self = lease.get()](std::stop_token stop) { self->keep_renewing(std::move(stop)); });
    return lease;
}

bool Lease::try_acquire(const LeaseOwner& owner, const LeaseOptions& options)
{
    auto newest = read_lease(storage_, group_, activity_);
    if (newest && is_in_force(*newest, storage_.now())) throw_held(group_, *newest);
    LeaseState next;
    next.activity = activity_;
    next.number = next.term = newest ? newest->number + 1 : 1;
    next.held = true;
    next.owner = owner;
    next.since = storage_.now();
    next.ttl = options.ttl;
    if (options.count_tries) next.tries = (newest && !options.count_anew ? newest->tries : 0) + 1;
    next.token = base::random_hex(16);
    if (!advance(next)) return false;
    term_ = next.term;
    return true;
}

/// Creates the object `next` and makes it ours; false when somebody else is ahead. A number is free
/// again once its object was trimmed, so creating it proves nothing unless it is the newest, too.
bool Lease::advance(LeaseState next) const
{
    std::string key = lease_key(group_, activity_, next.number);
    if (store::put(storage_, key, encode_lease(next)) == store::Created::already_there) {
        auto theirs = read_lease(storage_, group_, activity_);
        if (!theirs || theirs->number != next.number || theirs->token != next.token) return false;
    }
    auto all = list_leases(storage_, group_, activity_);
    if (all.empty() || all.back().first != next.number) {
        storage_.remove(key);
        return false;
    }
    next.renewed = all.back().second;
    mine_ = std::move(next);
    try {
        for (const auto& old : all)
            if (old.first + 1 < mine_.number)
                storage_.remove(lease_key(group_, activity_, old.first));
    } catch (const Error& error) {
        base::log_debug("old lease objects stay: {}", error.what());
    }
    return true;
}

void Lease::throw_lost() const
{
    lost_ = true;
    std::string by;
    auto newest = read_lease(storage_, group_, activity_);
    if (newest && newest->token != mine_.token) by = " to " + describe(*newest);
    throw Error{Code::lease_held,
                fmt::format("the lease \"{}\" of group {} passed{}: this process did not renew it "
                            "in time; nothing more is written",
                            activity_, group_, by),
                {.hint = "run the same command again when the other job is done"}};
}

void Lease::check() const
{
    std::lock_guard lock{mutex_};
    if (lost_ || released_) throw_lost();
    auto all = list_leases(storage_, group_, activity_);
    if (all.empty() || all.back().first != mine_.number) throw_lost();
    if (storage_.now() >= mine_.expires()) renew_locked();
}

void Lease::renew()
{
    std::lock_guard lock{mutex_};
    if (lost_ || released_) throw_lost();
    renew_locked();
}

void Lease::renew_locked() const
{
    LeaseState next = mine_;
    ++next.number;
    if (!advance(std::move(next))) throw_lost();
}

void Lease::keep_renewing(std::stop_token stop)
{
    std::unique_lock lock{mutex_};
    base::Duration pause = mine_.ttl / 3;
    while (!lost_) {
        wake_.wait_for(lock, stop, pause, [] { return false; });
        if (stop.stop_requested()) return;
        try {
            renew_locked();
            pause = mine_.ttl / 3;
        } catch (const std::exception& error) { // the root of this thread
            base::log_warning("cannot renew the lease \"{}\" of group {}: {}", activity_, group_,
                              error.what());
            pause = mine_.ttl / 10;
        }
    }
}

void Lease::succeeded()
{
    std::lock_guard lock{mutex_};
    mine_.tries = 0;
}

void Lease::not_tried()
{
    std::lock_guard lock{mutex_};
    if (mine_.tries > 0) --mine_.tries;
}

void Lease::release()
{
    renewer_.request_stop();
    std::lock_guard lock{mutex_};
    if (lost_ || released_) return;
    released_ = true;
    LeaseState next = mine_;
    ++next.number;
    next.held = false;
    if (!advance(std::move(next))) lost_ = true;
}

Lease::~Lease()
{
    if (renewer_.joinable()) {
        renewer_.request_stop();
        renewer_.join();
    }
    if (term_ == 0) return;
    try {
        release();
    } catch (const Error& error) {
        base::log_warning("cannot release the lease \"{}\" of group {}: {}", activity_, group_,
                          error.what());
    }
}

} // namespace tidemark::repo
