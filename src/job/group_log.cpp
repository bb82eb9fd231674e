#include "job/group_log.h"

#include "base/error.h"
#include "job/member_history.h"
#include "job/standby_slots.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <fmt/format.h>
#include <mutex>

namespace tidemark::job {

using base::Code;
using base::Error;
using std::chrono::steady_clock;

namespace {

/// Catching up has no deadline of its own: as long as bytes come in, it goes on. This bounds one
/// wait for nothing.
constexpr auto kCatchUpPatience = std::chrono::hours{24};

/// A backup waits for its own marks and log backups, too, and that is nothing to wonder about.
bool another_holds_log(const Context& context)
{
    auto lease = repo::read_lease(context.storage(), context.group.name, "log");
    return lease && lease->held && lease->owner != context.owner();
}

std::unique_ptr<repo::Lease> acquire_patiently(const Context& context, base::Duration patience)
{
    auto until = steady_clock::now() + patience;
    bool told = false;
    std::mutex mutex;
    std::condition_variable_any wake;
    while (true) {
        try {
            return repo::Lease::acquire(context.storage(), context.group.name, "log",
                                        context.owner(), {.ttl = context.lease_ttl});
        } catch (const Error& error) {
            if (error.code() != Code::lease_held || steady_clock::now() >= until) throw;
            // Nobody shall wonder why nothing happens.
            if (!told && another_holds_log(context)) {
                auto seconds = std::chrono::ceil<std::chrono::seconds>(patience).count();
                context.progress.note(
                    fmt::format("{}; waiting up to {} s for it", error.what(), seconds));
                told = true;
            }
        }
        std::unique_lock lock(mutex);
        wake.wait_for(lock, context.stop, std::chrono::milliseconds{200}, [] { return false; });
        if (context.stop.stop_requested())
            throw Error{Code::cancelled, "stopped while waiting for the log lease"};
    }
}

} // namespace

std::vector<std::string> member_names(const model::GroupSpec& group)
{
    std::vector<std::string> names;
    for (const auto& member : group.members)
        names.push_back(member.name);
    return names;
}

GroupLog::GroupLog(const Context& context, base::Duration patience)
    : context_(context), lease_(acquire_patiently(context, patience)),
      crew_(member_names(context.group), context.stop), sessions_(size()), receivers_(size())
{
}

GroupLog::~GroupLog() = default;

steady_clock::time_point GroupLog::answer_due() const
{
    return within_.count() > 0 ? steady_clock::now() + within_ : steady_clock::time_point::max();
}

void GroupLog::open(base::Duration within)
{
    within_ = within;
    crew_.run([&](std::size_t i, std::stop_token stop) {
        const auto& member = context_.group.members[i];
        context_.progress.stage(member.name, "connect");
        sessions_[i] = connect(context_, member, within);
        receivers_[i] = std::make_unique<LogReceiver>(context_, member, *sessions_[i], *lease_);
        receivers_[i]->open(stop);
    });
}

void GroupLog::catch_up()
{
    std::atomic<std::size_t> behind = size();
    crew_.run([&](std::size_t i, std::stop_token stop) {
        sessions_[i]->set_deadline(answer_due());
        auto target = sessions_[i]->insert_position().offset;
        auto deadline = steady_clock::now() + kCatchUpPatience;
        auto stored = receivers_[i]->durable().offset;
        context_.progress.stage(context_.group.members[i].name, "receive log",
                                target - std::min(target, stored));
        sessions_[i]->ensure_flushed(target, std::min(deadline, answer_due()));
        sessions_[i]->set_deadline(steady_clock::time_point::max());
        receivers_[i]->advance(target, deadline, stop);
        context_.progress.finished(context_.group.members[i].name);
        --behind;
        receivers_[i]->keep_up([&] { return behind == 0; }, stop);
    });
}

/// Half the round trip bounds the error of one reading; it is timed by the clock nobody sets.
model::ClockReading GroupLog::read_clock(engine::Session& session)
{
    auto sent = context_.clock.steady();
    auto before = context_.clock.now();
    auto theirs = session.clock();
    auto half = std::chrono::duration_cast<base::Duration>(context_.clock.steady() - sent) / 2;
    return {.offset = theirs - (before + half), .error = std::max(half, base::Duration{1})};
}

Placement GroupLog::place(const std::string& name, steady_clock::time_point deadline)
{
    Placement placement;
    placement.restore_point = name;
    placement.members.resize(size());
    struct Moment {
        steady_clock::time_point sent, answered;
    };
    std::vector<Moment> moments(size());
    auto in_time = [&] {
        if (steady_clock::now() < deadline) return;
        throw Error{Code::mark_not_placed,
                    "the members did not answer within mark.wait",
                    {.hint = "nothing was harmed; try again, or raise mark.wait"}};
    };
    for (auto& session : sessions_)
        session->set_deadline(deadline);
    crew_.run([&](std::size_t i, std::stop_token) {
        placement.members[i].clock = read_clock(*sessions_[i]);
    });
    if (!decision_tables(context_.group).empty()) {
        crew_.run_together([&](std::size_t i, std::stop_token) {
            placement.members[i].before = sessions_[i]->insert_position().offset;
        });
    }
    crew_.run_together([&](std::size_t i, std::stop_token) {
        placement.members[i].b = sessions_[i]->insert_position().offset;
    });
    in_time();
    crew_.run_together([&](std::size_t i, std::stop_token) {
        moments[i].sent = steady_clock::now();
        placement.members[i].r_end = sessions_[i]->place_restore_point(name).end.offset;
        moments[i].answered = steady_clock::now();
    });
    placement.created = context_.clock.now();
    crew_.run_together([&](std::size_t i, std::stop_token) {
        placement.members[i].e =
            std::max(sessions_[i]->insert_position().offset, placement.members[i].r_end);
    });
    in_time();
    auto first = moments[0].sent;
    auto last = moments[0].answered;
    for (const auto& moment : moments) {
        first = std::min(first, moment.sent);
        last = std::max(last, moment.answered);
    }
    placement.first_sent = first;
    placement.last_answered = last;
    placement.spread = std::chrono::duration_cast<base::Duration>(last - first);
    return placement;
}

void GroupLog::secure(const Placement& placement, steady_clock::time_point deadline)
{
    crew_.run([&](std::size_t i, std::stop_token stop) {
        auto target = placement.members[i].e;
        sessions_[i]->ensure_flushed(target, deadline);
        receivers_[i]->advance(target, deadline, stop);
    });
}

void GroupLog::finish()
{
    crew_.run([&](std::size_t i, std::stop_token) {
        receivers_[i]->finish();
        // What was due with the mark is done.
        sessions_[i]->set_deadline(answer_due());
        keep_log_on_standbys(context_, context_.group.members[i], *sessions_[i],
                             confirmable(receivers_[i]->durable().offset,
                                         receivers_[i]->identity().log_segment_size));
    });
}

} // namespace tidemark::job
