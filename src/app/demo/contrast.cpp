#include "app/demo/contrast.h"

#include "base/error.h"
#include "base/process_state.h"
#include "base/subprocess.h"
#include "engine/postgres/pq.h"
#include "job/reindex.h"
#include "model/evaluate.h"
#include "repo/identities.h"
#include "repo/log_reader.h"

#include <csignal>
#include <fmt/format.h>
#include <fstream>
#include <thread>

namespace tidemark::app {

using base::Code;
using base::Error;
using engine::postgres::Connection;

RestoredGroup::~RestoredGroup()
{
    stop();
}

void RestoredGroup::stop()
{
    if (stopped_) return;
    stopped_ = true;
    for (const auto& member : report_.members) {
        std::ifstream file(member.data_dir / "postmaster.pid");
        long pid = 0;
        if (!(file >> pid) || pid <= 1) continue;
        // Nothing in these clusters is worth a clean shutdown.
        ::kill(static_cast<pid_t>(pid), SIGQUIT);
        for (int i = 0; i < 500 && base::process_runs(static_cast<pid_t>(pid)); ++i) {
            std::this_thread::sleep_for(std::chrono::milliseconds{10});
        }
    }
}

std::string RestoredGroup::conninfo(const job::RestoredMember& member, const std::string& database)
{
    return fmt::format("host={} port={} user=postgres dbname={}", member.hand_over.socket_dir,
                       member.hand_over.port, database);
}

BankOptions RestoredGroup::bank(BankOptions options) const
{
    for (auto& one : options.members) {
        for (const auto& member : report_.members) {
            if (member.name == one.name) one.url = conninfo(member, "postgres");
        }
    }
    return options;
}

std::string place_points_in_turn(const std::vector<BankMember>& members, const std::string& name)
{
    for (const auto& member : members) {
        Connection::open(member.url).exec_params("SELECT pg_create_restore_point($1)", {name});
    }
    return name;
}

base::Time reachable_time(const std::vector<BankMember>& members, base::Clock& clock)
{
    auto time = clock.now();
    for (const auto& member : members) {
        // A transaction that has an id writes a commit record, whether it changed something or not.
        Connection::open(member.url).exec("SELECT pg_current_xact_id()");
    }
    return time;
}

ContrastLab::Goals ContrastLab::goals_at(base::Time time, const model::Mark& mark) const
{
    Goals goals;
    for (const auto& member : mark.members)
        goals[member.name] = {
            .position = {}, .time = time, .name = {}, .epoch = member.history.current()};
    return goals;
}

ContrastLab::Goals ContrastLab::goals_at(const std::string& point, const model::Mark& mark) const
{
    Goals goals;
    for (const auto& member : mark.members)
        goals[member.name] = {
            .position = {}, .time = {}, .name = point, .epoch = member.history.current()};
    return goals;
}

job::RestoreReport ContrastLab::restore(job::RestoreOptions options, Goals goals) const
{
    auto view = repo::load_view(context.storage(), context.group.name);
    auto newest = view.marks.front().number();
    auto plan = repo::need_plan(repo::plan_restore(view, newest));
    // No mark: the server's own targets decide, and nobody says what must be in doubt there.
    plan.mark.reset();
    options.goals = std::move(goals);
    options.settle = false;
    return job::restore_group(context, plan, options);
}

namespace {

/// All that the marks know: what a mark placed at the reached positions would have known, and more.
struct Knowledge {
    std::optional<model::OpenTransactions> table; ///< of the newest mark before the positions
    std::vector<model::Sweep> sweeps;             ///< later than that, oldest first
    std::map<std::string, model::ClockReading> clocks;
};

Knowledge knowledge_at(const job::Context& context, const model::Sweep& at)
{
    Knowledge known;
    auto marks = repo::Marks(context.storage(), context.group.name).list();
    auto later = marks.begin();
    for (; later != marks.end(); ++later) {
        bool before = true;
        for (const auto& [name, member] : later->value.table.members)
            before = before && at.contains(name) && member.e <= at.at(name);
        if (before) {
            known.table = later->value.table;
            break;
        }
    }
    if (!known.table && !marks.empty()) known.sweeps = marks.back().value.anchor;
    for (auto mark = std::make_reverse_iterator(later); mark != marks.rend(); ++mark) {
        for (auto position :
             {&model::MarkMember::b, &model::MarkMember::r, &model::MarkMember::e}) {
            model::Sweep sweep;
            for (const auto& member : mark->value.members)
                sweep.emplace(member.name, member.*position);
            known.sweeps.push_back(std::move(sweep));
        }
    }
    if (!marks.empty()) {
        for (const auto& member : marks.front().value.members)
            if (member.clock) known.clocks.emplace(member.name, *member.clock);
    }
    return known;
}

model::MemberLog read_log(const job::Context& context, const model::MemberSpec& spec)
{
    model::MemberId id{.group = context.group.name, .member = spec.name};
    auto recorded = repo::Identities(context.storage(), id).latest();
    repo::LogReader reader(context.storage(), repo::LogCatalog::load(context.storage(), id));
    model::History history(recorded->value.identity.position.epoch);
    auto chain = reader.catalog().newest_chain(history);
    if (!chain) throw Error{Code::log_gap, "no log is stored for " + spec.name};
    model::MemberLog log{.name = spec.name,
                         .history = history,
                         .complete_since = chain->start.offset,
                         .pattern = model::GidPattern::parse(spec.gid_pattern),
                         .seeds = recorded->value.seeds,
                         .events = {},
                         .clock = {}};
    auto rebuild =
        job::index_rebuilder(context, spec, recorded->value.identity, reader.catalog(), history);
    for (auto& index : reader.indexes(history, chain->start, chain->end, rebuild)) {
        for (auto& event : index.transactions)
            log.events.push_back(std::move(event));
    }
    return log;
}

} // namespace

void ContrastLab::settle(const RestoredGroup& group) const
{
    model::Sweep at;
    for (const auto& member : group.report().members)
        at.emplace(member.name, member.reached.offset);
    auto known = knowledge_at(context, at);
    std::vector<model::MemberLog> logs;
    for (const auto& spec : context.group.members) {
        auto& log = logs.emplace_back(read_log(context, spec));
        if (auto clock = known.clocks.find(spec.name); clock != known.clocks.end())
            log.clock = clock->second;
    }
    auto evaluation =
        model::evaluate_at(logs, at, known.table ? &*known.table : nullptr, known.sweeps);
    for (const auto& member : group.report().members) {
        auto main = Connection::open(RestoredGroup::conninfo(member, "postgres"));
        auto rows = main.exec("SELECT gid, database FROM pg_prepared_xacts");
        for (int row = 0; row < rows.rows(); ++row) {
            std::string gid(rows.get(row, 0));
            for (const auto& doubt : evaluation.in_doubt) {
                if (doubt.branch.member != member.name || doubt.branch.gid != gid ||
                    doubt.verdict.decision == model::Decision::unknown)
                    continue;
                bool commit = doubt.verdict.decision == model::Decision::commit;
                Connection::open(RestoredGroup::conninfo(member, std::string(rows.get(row, 1))))
                    .exec((commit ? "COMMIT PREPARED " : "ROLLBACK PREPARED ") +
                          Connection::literal(gid));
            }
        }
    }
}

BankVerdict ContrastLab::judge(const RestoredGroup& group) const
{
    return check_bank(group.bank(bank), witness,
                      MarkWindow{.first_sent = Instant::min(), .last_returned = Instant::max()});
}

} // namespace tidemark::app
