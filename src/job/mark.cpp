#include "job/mark.h"

#include "base/error.h"
#include "base/random.h"
#include "job/closing_mark.h"
#include "job/init.h"
#include "job/log_holes.h"
#include "job/member_events.h"
#include "job/membership.h"
#include "job/proof_start.h"
#include "job/reindex.h"
#include "model/commits_to_check.h"
#include "model/instances.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::job {

using base::Code;
using base::Error;
using std::chrono::steady_clock;

namespace {

/// A mark that cannot be used (its cut would lie below the previous mark, or below a backup's end)
/// is placed again this often.
constexpr int kTries = 10;

/// A member that did not answer within mark.wait: whatever call it was that waited, the mark is not
/// placed. What fails sooner keeps its own code.
template <typename Body> decltype(auto) in_time(const Context& context, Body&& body)
{
    auto due = steady_clock::now() + context.group.mark_wait;
    try {
        return body();
    } catch (const Error& error) {
        bool late =
            error.transient() && steady_clock::now() >= due &&
            (error.code() == Code::member_unreachable || error.code() == Code::member_not_ready);
        if (!late) throw;
        throw Error{Code::mark_not_placed,
                    std::string("no mark was placed: ") + error.what(),
                    {.hint = error.hint(), .transient = true}};
    }
}

std::string unique_suffix()
{
    base::SystemRandom random;
    return fmt::format("{:08x}", random.next() & 0xffffffffU);
}

class Placer {
public:
    Placer(const Context& context, GroupLog& log, const MarkOptions& options)
        : context_(context), log_(log), options_(options),
          marks_(context.storage(), context.group.name),
          sets_(context.storage(), context.group.name), holes_(log.size())
    {
    }

    MarkOutcome run()
    {
        auto started = options_.started == base::Time{} ? context_.clock.now() : options_.started;
        check_mark_name(context_, options_.name);
        refuse_missing(context_);
        for (int attempt = 1;; ++attempt) {
            if (auto mark = in_time(context_, [&] { return attempt_mark(); }))
                return commit(*mark, started);
            if (attempt == kTries) {
                throw Error{Code::mark_not_placed,
                            fmt::format("no usable mark in {} tries: {}", kTries, why_not_),
                            {.hint = "try again; if it stays, look for a transaction that is "
                                     "prepared for very long"}};
            }
        }
    }

private:
    std::optional<model::Mark> attempt_mark()
    {
        auto deadline = steady_clock::now() + context_.group.mark_wait;
        log_.crew().run(
            [&](std::size_t i, std::stop_token) { holes_.list_prepared(i, log_.session(i)); });
        auto numbers = marks_.numbers();
        auto number = numbers.empty() ? 1 : numbers.back() + 1;
        std::string shown = options_.name.empty() ? repo::mark_id(number) : options_.name;
        auto placement = log_.place(
            model::restore_point_name(context_.group.mark_prefix, shown, unique_suffix()),
            deadline);
        log_.secure(placement, deadline);
        first_sent_ = placement.first_sent;
        last_answered_ = placement.last_answered;
        previous_ = mark_before(context_, log_); // now that nobody follows a failover any more
        auto input = make_input(placement);
        if (auto unlisted = holes_.unlisted()) {
            why_not_ =
                fmt::format("log of {} cannot be read", context_.group.members[*unlisted].name);
            return std::nullopt;
        }
        auto cut = model::compute_cut(input);
        if (!cut.usable() || !covers_backups(cut)) {
            if (!cut.usable())
                why_not_ = std::string(model::violation_name(cut.violations.front().kind));
            return std::nullopt;
        }
        return make_mark(placement, input, std::move(cut));
    }

    /// The closing mark of a backup lies at or after every member's stop position (rules.md 10).
    bool covers_backups(const model::CutResult& cut)
    {
        for (std::size_t i = 0; i < cut.members.size(); ++i) {
            const auto& member = cut.members[i];
            auto taken = options_.backups.find(member.name);
            if (taken == options_.backups.end()) continue;
            if (holds_backup(member, log_.receiver(i).history(), taken->second.stop)) continue;
            why_not_ =
                fmt::format("the cut of {} lies before the end of its base backup", member.name);
            return false;
        }
        return true;
    }

    model::CutInput make_input(const Placement& placement)
    {
        model::CutInput input;
        input.members.resize(log_.size());
        input.previous = previous_ ? &previous_->value.table : nullptr;
        log_.crew().run(
            [&](std::size_t i, std::stop_token) { input.members[i] = read_member(i, placement); });
        const KnownIds known(input.members, input.previous);
        log_.crew().run([&](std::size_t i, std::stop_token) {
            auto& member = input.members[i].log;
            if (member.history.ancestors().empty()) return;
            for (auto& event : read_tail(i, member, known))
                member.events.push_back(std::move(event));
        });
        if (!previous_) input.anchor = first_sweeps(context_, log_);
        input.decision_tables = decision_tables(context_.group);
        input.created = placement.created;
        return input;
    }

    /// The events since the previous mark carry times from before a step of the clock, if there was
    /// one, and from after it; behind a failover, of two servers' clocks.
    std::optional<model::ClockReading>
    clock_since_previous(const model::MemberLog& log, const std::optional<model::ClockReading>& now,
                         base::Time at) const
    {
        const auto& history = log.history;
        const model::OpenTransactions::Member* before = nullptr;
        if (previous_) {
            const auto& known = previous_->value.table.members;
            if (auto found = known.find(log.name); found != known.end()) before = &found->second;
        }
        // Nobody has read the clock of the server that wrote the chain's beginning.
        if (before == nullptr)
            return history.epoch_at(log.complete_since) == history.current() ? now : std::nullopt;
        if (!now || !before->clock) return now;
        auto apart = std::max(at - previous_->value.created, base::Duration{});
        return before->epoch == history.current() ? model::combine(*before->clock, *now, apart)
                                                  : model::cover(*before->clock, *now, apart);
    }

    EventRange range_of(std::size_t i, const model::LogPosition& chain_start) const
    {
        const auto& receiver = log_.receiver(i);
        return {.history = receiver.history(),
                .previous = previous_ ? &previous_->value.table : nullptr,
                .member = context_.group.members[i].name,
                .chain_start = chain_start,
                .end = receiver.durable()};
    }

    ReadIndex index_reader(std::size_t i) const
    {
        const auto& receiver = log_.receiver(i);
        auto rebuild = index_rebuilder(context_, context_.group.members[i], receiver.identity(),
                                       receiver.catalog(), receiver.history());
        auto reader = std::make_shared<repo::LogReader>(context_.storage(), receiver.catalog());
        return [reader, rebuild](const repo::LogPiece& piece) {
            return reader->index(piece, rebuild);
        };
    }

    std::vector<model::TransactionEvent> read_tail(std::size_t i, const model::MemberLog& log,
                                                   const KnownIds& known) const
    {
        const auto& receiver = log_.receiver(i);
        auto chain = receiver.catalog().newest_chain(receiver.history());
        return read_tails(receiver.catalog(), range_of(i, chain->start), index_reader(i),
                          log.pattern, known);
    }

    model::CutMember read_member(std::size_t i, const Placement& placement)
    {
        const auto& spec = context_.group.members[i];
        const auto& receiver = log_.receiver(i);
        const auto& placed = placement.members[i];
        auto chain = receiver.catalog().newest_chain(receiver.history());
        if (!chain)
            throw Error{Code::log_gap,
                        "no log is stored for this member",
                        {.hint = "tidemark backup starts a chain"}};
        model::CutMember member;
        member.b = placed.b;
        member.r_end = placed.r_end;
        member.e = placed.e;
        member.log.name = spec.name;
        member.log.history = receiver.history();
        member.log.complete_since = chain->start.offset;
        member.log.pattern = model::GidPattern::parse(spec.gid_pattern);
        member.log.seeds = receiver.recorded().seeds;
        member.log.clock = clock_since_previous(member.log, placed.clock, placement.created);
        auto holes =
            gone_log(receiver.recorded(), previous_ ? &previous_->value.table : nullptr, member);
        auto indexes = read_indexes(receiver.catalog(), range_of(i, chain->start), index_reader(i));
        member.kept_until = kept_until(indexes, range_of(i, chain->start));
        for (auto& index : indexes) {
            for (auto& hole : index.unread)
                holes.push_back(std::move(hole));
            for (auto& event : index.transactions)
                member.log.events.push_back(std::move(event));
            for (const auto& point : index.restore_points) {
                if (point.name == placement.restore_point && point.end == placed.r_end)
                    member.r = point.start;
            }
        }
        holes_.take(i, placed, member, holes);
        if (member.r == 0) {
            throw Error{Code::failed,
                        fmt::format("the restore point {} is not in the log that was received",
                                    placement.restore_point)};
        }
        return member;
    }

    model::Mark make_mark(const Placement& placement, const model::CutInput& input,
                          model::CutResult cut)
    {
        model::Mark mark;
        mark.name = options_.name;
        mark.group = context_.group.name;
        mark.restore_point = placement.restore_point;
        mark.created = placement.created;
        mark.spread = placement.spread;
        for (std::size_t i = 0; i < input.members.size(); ++i) {
            const auto& in = input.members[i];
            const auto& receiver = log_.receiver(i);
            model::MarkMember member{.name = in.log.name,
                                     .engine = receiver.identity().engine,
                                     .system_id = receiver.identity().system_id,
                                     .version = receiver.identity().version,
                                     .history = in.log.history,
                                     .b = in.b,
                                     .r = in.r,
                                     .r_end = in.r_end,
                                     .e = in.e,
                                     .cut = cut.members[i].cut,
                                     .log_end = std::max(in.e, in.r_end),
                                     .retreat_bytes = cut.members[i].retreat_bytes,
                                     .retreat = cut.members[i].retreat,
                                     .clock = in.log.clock,
                                     .gid_pattern = in.log.pattern.text()};
            mark.members.push_back(std::move(member));
        }
        model::Sweep before;
        for (std::size_t i = 0; i < input.members.size(); ++i)
            before[mark.members[i].name] = placement.members[i].before;
        mark.decision_tables = input.decision_tables;
        model::list_commits(mark, model::commits_to_check(input, cut, before,
                                                          previous_ ? &previous_->value : nullptr));
        mark.iterations = cut.iterations;
        if (previous_) mark.previous = repo::mark_id(previous_->number());
        mark.anchor = input.anchor;
        mark.at = std::move(cut.at);
        mark.table = std::move(cut.table);
        mark.violations = std::move(cut.violations);
        for (std::size_t i = 0; i < mark.members.size(); ++i) {
            for (const auto& hole : holes_.of(i))
                mark.violations.push_back({.kind = model::ViolationKind::log_unread,
                                           .member = mark.members[i].name,
                                           .cut = hole.from,
                                           .bound = hole.to,
                                           .global_id = {}});
        }
        mark.flags = cut.flags;
        return mark;
    }

    MarkOutcome commit(const model::Mark& mark, base::Time started)
    {
        MarkOutcome outcome;
        outcome.first_sent = first_sent_;
        outcome.last_answered = last_answered_;
        outcome.mark = marks_.append(log_.lease(), mark);
        model::BackupSet set;
        set.group = context_.group.name;
        set.kind = options_.backups.empty() ? model::SetKind::log : model::SetKind::full;
        set.mark = outcome.mark.number();
        set.started = started;
        auto earlier = sets_.list(1);
        for (std::size_t i = 0; i < log_.size(); ++i) {
            const auto& receiver = log_.receiver(i);
            const auto& name = context_.group.members[i].name;
            model::SetMember member;
            member.pieces = repo::unnamed_pieces(context_.storage(), receiver.catalog(), earlier,
                                                 receiver.pieces());
            if (!member.pieces.empty()) {
                const auto& first = member.pieces.front().range;
                member.log_from = model::LogPosition{first.epoch, first.from};
            }
            member.log_to = receiver.durable();
            if (auto taken = options_.backups.find(name); taken != options_.backups.end())
                member.backup = taken->second.backup;
            outcome.log_bytes += receiver.received_bytes();
            set.members.emplace(name, std::move(member));
        }
        set.ended = context_.clock.now();
        outcome.set = sets_.append(log_.lease(), set);
        outcome.to_durable =
            std::chrono::duration_cast<base::Duration>(steady_clock::now() - first_sent_);
        return outcome;
    }

    const Context& context_;
    GroupLog& log_;
    const MarkOptions& options_;
    repo::Marks marks_;
    repo::Sets sets_;
    std::optional<repo::StoredMark> previous_;
    LogHoles holes_;
    std::string why_not_;
    steady_clock::time_point first_sent_, last_answered_;
};

} // namespace

void check_mark_name(const Context& context, const std::string& name)
{
    if (name.empty()) return;
    model::checked_mark_name(name);
    model::restore_point_name(context.group.mark_prefix, name, unique_suffix());
    repo::Marks(context.storage(), context.group.name).refuse_taken(name);
}

MarkOutcome place_mark(const Context& context, GroupLog& log, const MarkOptions& options)
{
    return Placer(context, log, options).run();
}

MarkOutcome place_mark(const Context& context, const MarkOptions& options)
{
    GroupLog log(context, kLeasePatience);
    check_mark_name(context, options.name);
    in_time(context, [&] {
        log.open(context.group.mark_wait);
        log.catch_up();
    });
    auto outcome = place_mark(context, log, options);
    log.finish();
    return outcome;
}

LogOutcome back_up_log(const Context& context)
{
    GroupLog log(context, kLeasePatience);
    log.open();
    log.catch_up();
    LogOutcome outcome;
    for (std::size_t i = 0; i < log.size(); ++i) {
        const auto& receiver = log.receiver(i);
        outcome.members.push_back({.name = context.group.members[i].name,
                                   .end = receiver.durable(),
                                   .bytes = receiver.received_bytes(),
                                   .pieces = receiver.pieces().size()});
    }
    log.finish();
    return outcome;
}

} // namespace tidemark::job
