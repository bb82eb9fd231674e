#include "job/expire.h"

#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "job/join_log.h"
#include "repo/drills.h"
#include "repo/intents.h"
#include "repo/layout.h"
#include "repo/open_runs.h"

#include <algorithm>
#include <condition_variable>
#include <fmt/format.h>
#include <mutex>
#include <set>

namespace tidemark::job {

using base::Code;
using base::Error;

namespace {

/// Between two questions to the store whether the lease is still ours: no longer in objects, and no
/// longer in time, so that a process that slept removes no more than the one object it was at.
constexpr std::size_t kCheckEvery = 256;
constexpr auto kCheckAfter = std::chrono::seconds{1};

/// What a lease, its renewals and a tombstone need in a store that is full.
constexpr std::size_t kReserve = std::size_t{1} << 20;
/// Log is joined, and the reserve laid in again, only where so much more is free: it is needed by
/// nobody, and the last room belongs to backups.
constexpr std::uint64_t kSpare = std::uint64_t{64} << 20;

class Expirer {
public:
    Expirer(const Context& context, const ExpireOptions& options)
        : context_(context), options_(options), group_(context.group.name)
    {
        CHECK(options.grace >= options.settle);
        look_.policy.keep_days = context.group.keep_days;
        look_.grace = options.grace;
        look_.proven = options.proven;
        auto proofs = repo::Drills(context.storage(), context.group.name).proofs();
        for (const auto& [mark, proof] : proofs.by_mark) {
            look_.proven.insert(mark);
            look_.proofs.emplace(proof.drill, mark);
        }
        if (proofs.newest) look_.proofs.emplace(proofs.newest->drill, proofs.newest->mark);
    }

    ExpireReport run()
    {
        if (options_.plan_only) {
            look();
            warn_of_lost();
            return std::move(report_);
        }
        context_.progress.stage(group_, "decide");
        with_reserve([&] {
            lease_ = repo::Lease::acquire(context_.storage(), group_, "expire", context_.owner(),
                                          {.ttl = context_.lease_ttl});
        });
        look();
        warn_of_lost();
        remove(); // what earlier ones named: it makes room for what follows
        join();
        with_reserve([&] { bury(); });
        if (options_.wait) wait();
        remove();
        trim();
        summarise();
        context_.progress.finished(group_);
        lease_->release();
        lay_in_reserve();
        return std::move(report_);
    }

private:
    void look() { report_.survey = survey(context_, look_); }

    void warn_of_lost() const
    {
        for (const auto* lost : {&report_.survey.lost_holds, &report_.survey.lost_restores})
            for (const auto& [key, why] : *lost)
                context_.progress.warn(fmt::format("{}: {}", key, why));
        if (!report_.survey.lost_holds.empty())
            context_.progress.warn(
                "while the newest holds cannot be read no mark goes, nor what a mark may need: say "
                "`tidemark hold` again for what `tidemark list holds` lacks, or `tidemark release` "
                "for what it still shows; that writes them anew");
        if (!report_.survey.lost_restores.empty())
            context_.progress.warn(
                "while the newest book of restores cannot be read no mark goes, nor what a mark "
                "may need: say the same `tidemark restore --only` again for what `tidemark list "
                "restores` lacks, or `tidemark restore --forget restore-N` with the number of one "
                "that nobody wants, which need not be in it; that writes the book anew");
    }

    /// In a store without room nothing could be named, and so nothing be removed.
    void with_reserve(const std::function<void()>& work)
    {
        try {
            work();
        } catch (const Error& error) {
            if (error.code() != Code::out_of_space) throw;
            if (!context_.storage().remove(repo::reserve_key(group_))) throw;
            context_.progress.note("the repository is full: its reserve is given up");
            work();
        }
    }

    bool has_spare() const
    {
        auto free = context_.storage().traits().free_bytes;
        return !free || *free >= kSpare;
    }

    /// For the next time. Random bytes: some stores would not give room to others.
    void lay_in_reserve()
    {
        try {
            auto key = repo::reserve_key(group_);
            if (!has_spare() || context_.storage().stat(key)) return;
            base::Bytes bytes(kReserve);
            base::SystemRandom{}.fill(bytes);
            store::put(context_.storage(), key, bytes);
        } catch (const Error& error) {
            base::log_debug("no reserve is laid in: {}", error.what());
        }
    }

    /// Small pieces are a nuisance; a store that is full must be emptied all the same.
    void join()
    {
        if (!has_spare()) {
            context_.progress.note("log is not joined: there is too little room for that");
            return;
        }
        try {
            join_pieces();
        } catch (const Error& error) {
            if (error.code() != Code::out_of_space) throw;
            context_.progress.note(fmt::format("log is not joined: {}", error.what()));
            look(); // some of it may be
        }
    }

    void join_pieces()
    {
        context_.progress.stage(group_, "join log");
        auto joined = join_log(context_, *lease_, report_.survey,
                               {.after = options_.join_after, .at_least = options_.join_at_least});
        report_.joined = joined.pieces;
        report_.made = joined.made;
        if (joined.made > 0) look();
    }

    /// Names what goes before anything does.
    void bury()
    {
        auto tombstone = next_tombstone(report_.survey, group_, context_.storage().now());
        if (!tombstone) return;
        report_.condemned = tombstone->commits.size() + tombstone->data.size();
        auto stored = repo::Tombstones(context_.storage(), group_).append(*lease_, *tombstone);
        // The time that counts is the store's.
        if (auto info = context_.storage().stat(stored.object.key))
            report_.survey.objects.insert_or_assign(stored.object.key, *info);
        report_.survey.tombstones.insert(report_.survey.tombstones.begin(), std::move(stored));
    }

    /// When each condemned object was named first, by the store's clock.
    std::map<std::string, base::Time> condemned() const
    {
        std::map<std::string, base::Time> out;
        for (const auto& one : report_.survey.tombstones) { // newest first
            auto info = report_.survey.objects.find(one.object.key);
            if (info == report_.survey.objects.end()) continue;
            for (const auto* keys : {&one.value.commits, &one.value.data})
                for (const std::string& key : *keys)
                    if (is_meant(report_.survey, one, key))
                        out.insert_or_assign(key, info->second.modified);
        }
        return out;
    }

    /// Until the youngest of the commit objects may go, and all data whose grace is not longer.
    void wait()
    {
        auto since = condemned();
        std::optional<base::Time> until;
        auto extend = [&](const std::vector<std::string>& keys) {
            for (const std::string& key : keys)
                if (auto found = since.find(key); found != since.end())
                    until = std::max(until.value_or(found->second), found->second);
        };
        extend(report_.survey.commits);
        if (options_.grace == options_.settle) extend(report_.survey.data);
        auto now = context_.storage().now();
        if (!until || *until + options_.settle <= now) return;
        tell_wait(now, *until + options_.settle);
        sleep(*until + options_.settle - now);
        lease_->check();
        look(); // the second look
    }

    /// What a long silence is for, and who is at work meanwhile.
    void tell_wait(base::Time now, base::Time until) const
    {
        auto clock = base::format_time_human(until); // "2026-11-22 14:31:07 UTC"
        context_.progress.stage(group_, "wait to " + clock.substr(11, 8));
        context_.progress.note(fmt::format(
            "waiting {} (until {}) before anything is removed: a job that began before this one "
            "named what goes has seen it by then",
            base::format_duration(until - now), clock));
        const auto me = context_.owner();
        std::set<std::pair<std::string, std::string>> told; // a drill is a run and reads, too
        auto tell = [&](const std::string& command, const std::string& host, base::Time since) {
            if (told.emplace(command, host).second)
                context_.progress.note(fmt::format("at work meanwhile: `{}` on {} since {}",
                                                   command, host, base::format_time_human(since)));
        };
        for (const auto& run : repo::open_runs(context_.storage(), group_))
            if (!run.broken_off && (run.host != me.host || run.pid != me.pid))
                tell(run.command, run.host, run.started);
        for (const auto& one : repo::list_intents(context_.storage(), group_))
            if (one.readable && one.in_force(now))
                tell(one.value.command, one.value.host, one.value.since);
    }

    void sleep(base::Duration duration) const
    {
        if (options_.sleep) return options_.sleep(duration);
        std::mutex mutex;
        std::condition_variable_any wake;
        std::unique_lock lock(mutex);
        wake.wait_for(lock, context_.stop, duration, [] { return false; });
        if (context_.stop.stop_requested())
            throw Error{Code::cancelled,
                        "stopped while waiting",
                        {.hint = "nothing was removed; the next expire goes on"}};
    }

    /// What was condemned long enough ago and still goes: commit objects first.
    void remove()
    {
        context_.progress.stage(group_, "remove", report_.survey.bytes);
        report_.waiting = 0;
        report_.next.reset();
        auto since = condemned();
        auto now = context_.storage().now();
        auto each = [&](const std::vector<std::string>& keys, base::Duration delay) {
            for (const std::string& key : keys) {
                auto found = since.find(key);
                if (found == since.end() || gone_.contains(key)) continue;
                if (found->second + delay <= now) {
                    remove(key);
                    continue;
                }
                ++report_.waiting;
                auto when = found->second + delay;
                report_.next = std::min(report_.next.value_or(when), when);
            }
        };
        each(report_.survey.commits, options_.settle);
        each(report_.survey.data, options_.grace);
    }

    void remove(const std::string& key)
    {
        if (context_.stop.stop_requested())
            throw Error{
                Code::cancelled, "stopped while removing", {.hint = "the next expire goes on"}};
        auto now = std::chrono::steady_clock::now();
        if (report_.removed % kCheckEvery == 0 || now - checked_ >= kCheckAfter) {
            lease_->check();
            checked_ = std::chrono::steady_clock::now();
        }
        context_.storage().remove(key);
        gone_.insert(key);
        ++report_.removed;
        report_.removed_bytes += report_.survey.objects.at(key).size;
        context_.progress.advance(group_, report_.removed_bytes);
    }

    /// Tombstones whose work is done go too; the newest two tell what is gone.
    void trim()
    {
        const auto& all = report_.survey.tombstones;
        auto there = [&](const std::string& key) {
            return report_.survey.objects.contains(key) && !gone_.contains(key);
        };
        for (std::size_t i = 2; i < all.size(); ++i) {
            const auto& value = all[i].value;
            if (std::any_of(value.commits.begin(), value.commits.end(), there) ||
                std::any_of(value.data.begin(), value.data.end(), there))
                continue;
            context_.storage().remove(all[i].object.key);
        }
        // The newest intent stays: numbers only grow.
        auto intents = repo::list_intents(context_.storage(), group_);
        auto now = context_.storage().now();
        for (std::size_t i = 0; i + 1 < intents.size(); ++i)
            if (!intents[i].in_force(now)) context_.storage().remove(intents[i].key);
    }

    void summarise() const
    {
        context_.progress.note(fmt::format("{} objects removed ({}), {} named by a tombstone and "
                                           "still there, {} log pieces joined "
                                           "into {}",
                                           report_.removed,
                                           base::format_size(report_.removed_bytes),
                                           report_.waiting, report_.joined, report_.made));
    }

    const Context& context_;
    const ExpireOptions& options_;
    const std::string& group_;
    SurveyOptions look_;
    std::unique_ptr<repo::Lease> lease_;
    std::set<std::string> gone_;
    std::chrono::steady_clock::time_point checked_;
    ExpireReport report_;
};

} // namespace

ExpireReport expire(const Context& context, const ExpireOptions& options)
{
    return Expirer(context, options).run();
}

std::optional<ExpireReport> expire_when_due(const Context& context, ExpireOptions options,
                                            base::Duration every)
{
    auto lease = repo::read_lease(context.storage(), context.group.name, "expire");
    auto now = context.storage().now();
    if (lease && (is_in_force(*lease, now) || lease->renewed + every > now)) return std::nullopt;
    options.wait = false;
    try {
        return expire(context, options);
    } catch (const Error& error) {
        if (error.code() != Code::lease_held) throw;
        return std::nullopt;
    }
}

} // namespace tidemark::job
