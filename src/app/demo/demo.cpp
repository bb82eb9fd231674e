#include "app/demo/demo.h"

#include "app/config.h"
#include "app/demo/contrast.h"
#include "app/demo/lab_cluster.h"
#include "app/demo/lab_folder.h"
#include "app/wiring.h"
#include "base/fd.h"
#include "base/random.h"
#include "engine/postgres/pq.h"
#include "job/backup.h"
#include "job/init.h"
#include "job/restore.h"

#include <algorithm>
#include <condition_variable>
#include <fmt/format.h>
#include <mutex>
#include <thread>

namespace tidemark::app {

using base::Code;
using base::Error;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

constexpr auto kMarkEvery = 1500ms;
/// Load goes on this long after the last mark, so that there is something to lose.
constexpr auto kAfterLastMark = 700ms;

void rest(std::chrono::milliseconds time, std::stop_token stop)
{
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    wake.wait_for(lock, stop, time, [] { return false; });
    if (stop.stop_requested()) throw Error{Code::cancelled, "stopped"};
}

class Demo {
public:
    Demo(const DemoOptions& options, job::Progress& progress)
        : options_(options), progress_(progress),
          folder_(options.keep ? LabFolder(*options.keep) : LabFolder())
    {
        report_.seed = options.seed;
    }

    DemoReport run()
    {
        start_clusters();
        set_up();
        Bank bank(bank_options_, witness_);
        bank.start();
        back_up();
        place_marks();
        disaster(bank);
        restore_to_mark();
        restore_in_the_usual_ways();
        report_.load = bank.stats();
        return std::move(report_);
    }

private:
    void start_clusters()
    {
        progress_.note(fmt::format("{} PostgreSQL clusters in {} (private sockets, no TCP)",
                                   options_.members, folder_.path().string()));
        for (unsigned i = 0; i < options_.members; ++i) {
            clusters_.push_back(std::make_unique<LabCluster>(
                LabClusterOptions{.name = fmt::format("bank{}", i + 1),
                                  .folder = folder_.path(),
                                  .settings = {{"max_slot_wal_keep_size", "4GB"}}}));
            clusters_.back()->start();
        }
    }

    void set_up()
    {
        group_.name = "demo";
        for (const auto& cluster : clusters_) {
            group_.members.push_back({.name = cluster->name(),
                                      .url = cluster->url(),
                                      .data_dir = cluster->data_dir(),
                                      .gid_pattern = "identical"});
            bank_options_.members.push_back({.name = cluster->name(), .url = cluster->url()});
        }
        bank_options_.seed = options_.seed;
        bank_options_.threads = 6;
        bank_options_.crash_share = 0.01;
        create_bank(bank_options_);
        auto place = folder_.path() / "repository";
        storage_ = open_storage(place.string(), true);
        base::SystemRandom random;
        repository_.emplace(repo::Repository::create(*storage_, random));
        job::initialise(context("init"), {.unbounded = false});
        model::RepositorySpec spec{.name = "main", .url = place.string(), .compression_level = 2};
        base::replace_file(folder_.path() / "tidemark.toml",
                           base::as_bytes(render_config(spec, group_)));
        progress_.note(
            fmt::format("a repository in {}, and a bank of {} accounts on each cluster; seed {}",
                        place.string(), bank_options_.accounts, options_.seed));
    }

    job::Context context(const std::string& command)
    {
        return {.repository = *repository_,
                .engine = [](const model::MemberSpec& member) -> engine::Engine& {
                    return engine_for(member.url);
                },
                .group = group_,
                .progress = progress_,
                .clock = clock_,
                .stop = options_.stop,
                .compression_level = 2,
                .workers = 2,
                .command = command,
                .host = "demo"};
    }

    void back_up()
    {
        progress_.note(fmt::format("{} clients move money between the clusters by two-phase commit",
                                   bank_options_.threads));
        rest(1s, options_.stop);
        auto start = steady_clock::now();
        auto outcome = job::back_up_group(context("backup"), {});
        report_.backup_time =
            std::chrono::duration_cast<base::Duration>(steady_clock::now() - start);
        std::uint64_t size = 0, stored = 0;
        for (const auto& member : outcome.members) {
            size += member.manifest.value.totals.file_bytes;
            stored += member.manifest.value.totals.stored_bytes;
        }
        progress_.note(
            fmt::format("full backup under load in {}: {} of files, {} stored, closing mark {}",
                        base::format_duration(report_.backup_time), base::format_size(size),
                        base::format_size(stored), repo::mark_id(outcome.closing.mark.number())));
        ++report_.marks;
    }

    void place_marks()
    {
        auto until = steady_clock::now() + std::chrono::seconds{options_.seconds};
        for (int round = 1; steady_clock::now() < until; ++round) {
            rest(kMarkEvery, options_.stop);
            if (round % 3 == 0)
                job::back_up_log(context("log"));
            else
                note_mark(job::place_mark(context("mark"), {}));
        }
        points_ = place_points_in_turn(bank_options_.members, "in-turn");
        rest(300ms, options_.stop);
        time_ = reachable_time(bank_options_.members, clock_);
        last_ = job::place_mark(context("mark"), {.name = "last"});
        note_mark(*last_);
    }

    void note_mark(const job::MarkOutcome& outcome)
    {
        ++report_.marks;
        const auto& mark = outcome.mark.value;
        std::uint64_t retreat = 0;
        for (const auto& member : mark.members)
            retreat += member.retreat_bytes;
        progress_.note(fmt::format(
            "mark {}: restore points within {:.1f} ms, {} transfers in doubt, {} B of retreat, {} "
            "of log",
            repo::mark_id(outcome.mark.number()), static_cast<double>(mark.spread.count()) / 1000,
            mark.at.in_doubt.size(), retreat, base::format_size(outcome.log_bytes)));
    }

    void disaster(Bank& bank)
    {
        rest(kAfterLastMark, options_.stop);
        progress_.note("disaster: all servers are killed in the middle of the load, their data "
                       "directories removed");
        for (auto& cluster : clusters_)
            cluster->kill9();
        for (auto& cluster : clusters_)
            cluster->destroy();
        bank.stop();
    }

    job::RestoreOptions restore_options(const std::string& name)
    {
        job::RestoreOptions out;
        out.dir = folder_.make(name);
        if (auto user = lab_user()) out.user = user->name;
        out.helper = options_.helper;
        out.start = true;
        return out;
    }

    void restore_to_mark()
    {
        auto view = repo::load_view(*storage_, group_.name);
        auto plan = repo::need_plan(repo::plan_restore(view, last_->mark.number()));
        progress_.note(
            fmt::format("restoring all members to mark {}", repo::mark_id(last_->mark.number())));
        auto report = job::restore_group(context("restore"), plan, restore_options("restored"));
        report_.restore_time =
            std::chrono::duration_cast<base::Duration>(report.ended - report.started);
        report_.mark = repo::mark_id(last_->mark.number());
        report_.in_doubt = last_->mark.value.at.in_doubt.size();
        report_.last_spread = last_->mark.value.spread;
        RestoredGroup restored(std::move(report));
        report_.tidemark = {.name = "tidemark",
                            .how = "the mark, in-doubt settled by the mark's evidence",
                            .verdict =
                                check_bank(restored.bank(bank_options_), witness_,
                                           MarkWindow{.first_sent = last_->first_sent,
                                                      .last_returned = last_->last_answered})};
        progress_.note(fmt::format("restored and opened in {}: {}",
                                   base::format_duration(report_.restore_time),
                                   report_.tidemark.verdict.describe()));
    }

    void restore_in_the_usual_ways()
    {
        progress_.note("for contrast, the same repository restored in the usual ways");
        ContrastLab lab{.context = context("restore"), .bank = bank_options_, .witness = witness_};
        RestoredGroup by_time(
            lab.restore(restore_options("by-time"), lab.goals_at(time_, last_->mark.value)));
        report_.contrasts.push_back(
            {.name = "a",
             .how = "each member to one wall-clock time, prepared transactions left",
             .verdict = lab.judge(by_time)});
        lab.settle(by_time);
        report_.contrasts.push_back({.name = "b",
                                     .how = "the same, then settled by evidence",
                                     .verdict = lab.judge(by_time)});
        by_time.stop();
        RestoredGroup in_turn(
            lab.restore(restore_options("in-turn"), lab.goals_at(points_, last_->mark.value)));
        lab.settle(in_turn);
        report_.contrasts.push_back(
            {.name = "c",
             .how = "restore points placed one after the other, settled by evidence",
             .verdict = lab.judge(in_turn)});
    }

    const DemoOptions& options_;
    job::Progress& progress_;
    base::SystemClock clock_;
    LabFolder folder_;
    std::vector<std::unique_ptr<LabCluster>> clusters_;
    BankOptions bank_options_;
    Witness witness_;
    model::GroupSpec group_;
    std::unique_ptr<store::Storage> storage_;
    std::optional<repo::Repository> repository_;
    std::string points_;
    base::Time time_{};
    std::optional<job::MarkOutcome> last_;
    DemoReport report_;
};

} // namespace

DemoReport run_demo(const DemoOptions& options, job::Progress& progress)
{
    return Demo(options, progress).run();
}

} // namespace tidemark::app
