// Random distributed transfers over several real clusters, several marks a second, servers and
// Tidemark itself killed (while it places marks, stores log, backs up and restores), then restores
// to many marks, all of which must be possible. Every invariant of the bank must hold at
// each; two of the usual ways to restore must break them, or the run has proved nothing.

#include "app/config.h"
#include "app/demo/bank.h"
#include "app/demo/bank_check.h"
#include "app/demo/contrast.h"
#include "app/demo/lab_cluster.h"
#include "app/demo/lab_folder.h"
#include "app/wiring.h"
#include "base/fd.h"
#include "base/random.h"
#include "base/subprocess.h"
#include "job/backup.h"
#include "job/init.h"
#include "job/restore.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <fstream>
#include <set>
#include <thread>

namespace tidemark::app {
namespace {

using namespace std::chrono_literals;
using base::Error;

struct Settings {
    std::uint64_t seed = 0;
    unsigned seconds = 300;
    unsigned members = 4;
    unsigned restores = 12;
};

class QuietProgress final : public job::Progress {
public:
    void stage(std::string_view, std::string_view, std::uint64_t) override {}
    void advance(std::string_view, std::uint64_t) override {}
    void finished(std::string_view) override {}
    void note(std::string_view) override {}
    void warn(std::string_view text) override { fmt::print("warning: {}\n", text); }
};

class Torture {
public:
    explicit Torture(const Settings& settings) : settings_(settings), random_(settings.seed) {}

    bool run()
    {
        set_up();
        Bank bank(bank_options_, witness_);
        bank.start();
        job::back_up_group(context("backup"), {});
        abuse();
        points_ = place_points_in_turn(bank_options_.members, "in-turn");
        std::this_thread::sleep_for(300ms);
        marks_in_process(2s);
        time_ = reachable_time(bank_options_.members, clock_);
        marks_in_process(0s);
        for (auto& cluster : clusters_)
            cluster->kill9();
        for (auto& cluster : clusters_)
            cluster->destroy();
        bank.stop();
        auto stats = bank.stats();
        fmt::print(
            "load: {} committed, {} rolled back, {} unknown, {} crashed clients, {} errors\n",
            stats.committed, stats.rolled_back, stats.unknown, stats.crashes, stats.errors);
        fmt::print("marks: {}; killed: {} times a server, {} times tidemark\n", windows_.size(),
                   server_kills_, program_kills_);
        restore_marks();
        contrast();
        fmt::print("{} restores, {} violations; torn with (a) {}, with (c) {}\n", restored_,
                   violations_, torn_by_time_, torn_in_turn_);
        if (torn_by_time_ == 0 || torn_in_turn_ == 0)
            fmt::print("the usual ways broke nothing: this run proves nothing, take another seed "
                       "or more seconds\n");
        return violations_ == 0 && restored_ > 0 && torn_by_time_ > 0 && torn_in_turn_ > 0;
    }

private:
    void set_up()
    {
        for (unsigned i = 0; i < settings_.members; ++i) {
            clusters_.push_back(std::make_unique<LabCluster>(
                LabClusterOptions{.name = fmt::format("t{}", i + 1),
                                  .folder = folder_.path(),
                                  .settings = {{"max_slot_wal_keep_size", "4GB"}}}));
            clusters_.back()->start();
            bank_options_.members.push_back(
                {.name = clusters_.back()->name(), .url = clusters_.back()->url()});
        }
        bank_options_.seed = settings_.seed;
        bank_options_.threads = 8;
        bank_options_.subtransaction_share = 0.05;
        bank_options_.crash_share = 0.02;
        bank_options_.reuse_gids = true;
        bank_options_.two_databases = true;
        create_bank(bank_options_);
        // Prepared before Tidemark knew these servers, and for ever undecided.
        leave_orphans(bank_options_, witness_, 2, false);
        group_.name = "torture";
        for (const auto& cluster : clusters_) {
            group_.members.push_back({.name = cluster->name(),
                                      .url = cluster->url(),
                                      .data_dir = cluster->data_dir(),
                                      .gid_pattern = bank_gid_pattern(bank_options_)});
        }
        auto place = folder_.path() / "repository";
        storage_ = open_storage(place.string(), true);
        base::SystemRandom random;
        repository_.emplace(repo::Repository::create(*storage_, random));
        auto outcome = job::initialise(context("init"), {.unbounded = false});
        std::size_t seeds = 0;
        for (const auto& member : outcome.members)
            seeds += member.seeds;
        fmt::print("seed {}: {} members in {}, {} branches prepared before init\n", settings_.seed,
                   settings_.members, folder_.path().string(), seeds);
        model::RepositorySpec spec{.name = "main", .url = place.string(), .compression_level = 1};
        config_ = folder_.path() / "tidemark.toml";
        base::replace_file(config_, base::as_bytes(render_config(spec, group_)));
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
                .stop = {},
                .compression_level = 1,
                .workers = 2,
                .command = command,
                .host = "torture"};
    }

    /// Phases of marks in this process, of the program that is killed while it places marks, stores
    /// log or takes a full backup, and of servers that are killed.
    void abuse()
    {
        auto until = std::chrono::steady_clock::now() + std::chrono::seconds{settings_.seconds};
        while (std::chrono::steady_clock::now() < until) {
            marks_in_process(1500ms);
            for (int i = 0; i < 3; ++i)
                run_program("mark", 400ms);
            run_program("log", 300ms);
            if (random_.below(4) == 0) run_program("backup", 4000ms);
            if (random_.below(3) == 0) kill_a_server();
        }
    }

    /// At least one.
    void marks_in_process(std::chrono::milliseconds time)
    {
        auto until = std::chrono::steady_clock::now() + time;
        try {
            auto here = context("mark");
            job::GroupLog log(here, 10s);
            log.open();
            log.catch_up();
            do {
                auto outcome = job::place_mark(here, log, {});
                windows_[outcome.mark.number()] = {.first_sent = outcome.first_sent,
                                                   .last_returned = outcome.last_answered};
                std::this_thread::sleep_for(std::chrono::milliseconds{50 + random_.below(200)});
            } while (std::chrono::steady_clock::now() < until);
            log.finish();
        } catch (const Error& error) {
            judge_end("marks", static_cast<int>(error.code()), error.what());
        }
    }

    /// All servers run, and nobody else is at work: what is not killed has to come to its end, or
    /// to give way to what a killed one held.
    void judge_end(const std::string& what, int code, const std::string& text)
    {
        if (code == 0 || code == 3) return;
        bool gives_way = code == static_cast<int>(base::Code::lease_held) ||
                         code == static_cast<int>(base::Code::mark_not_placed);
        if (!gives_way) ++violations_;
        fmt::print("{} ended with {}: {}{}\n", what, code, text,
                   gives_way ? "" : "  <-- VIOLATION");
    }

    base::Process spawn(std::vector<std::string> arguments) const
    {
        arguments.insert(arguments.begin(), {TIDEMARK_PROGRAM, "--config", config_.string(), "-q"});
        return base::Process::spawn(arguments);
    }

    /// Every second one is killed at a random moment within `patience`. A mark it has placed all
    /// the same counts.
    void run_program(const std::string& command, std::chrono::milliseconds patience)
    {
        auto known = numbers();
        auto before = Instant::clock::now();
        auto process = spawn({command});
        bool killed = random_.below(2) == 0 && kill_within(process, patience);
        auto exit = process.wait();
        if (!killed)
            judge_end("tidemark " + command, exit.signal != 0 ? 128 + exit.signal : exit.code,
                      process.err());
        auto after = Instant::clock::now();
        for (auto number : numbers()) {
            if (!known.contains(number))
                windows_.try_emplace(number,
                                     MarkWindow{.first_sent = before, .last_returned = after});
        }
    }

    std::set<model::Number> numbers()
    {
        auto all = repo::Marks(*storage_, group_.name).numbers();
        return {all.begin(), all.end()};
    }

    /// At a random moment; false when the process was faster.
    bool kill_within(base::Process& process, std::chrono::milliseconds patience)
    {
        auto limit = static_cast<std::uint64_t>(patience.count());
        if (process.wait_for(std::chrono::milliseconds{random_.below(limit)})) return false;
        process.kill(9);
        process.wait();
        ++program_kills_;
        return true;
    }

    void kill_a_server()
    {
        auto& cluster = *clusters_[random_.below(clusters_.size())];
        cluster.kill9();
        ++server_kills_;
        std::this_thread::sleep_for(std::chrono::milliseconds{random_.below(500)});
        cluster.start();
    }

    job::RestoreOptions restore_options(const std::string& name)
    {
        job::RestoreOptions out;
        out.dir = folder_.make(name);
        if (auto user = lab_user()) out.user = user->name;
        out.helper = TIDEMARK_PROGRAM;
        out.start = true;
        return out;
    }

    void restore_marks()
    {
        auto view = repo::load_view(*storage_, group_.name);
        std::vector<model::Number> candidates;
        for (const auto& mark : view.marks) {
            auto result = repo::plan_restore(view, mark.number());
            if (result.plan && windows_.contains(mark.number()))
                candidates.push_back(mark.number());
            if (result.plan) continue;
            // Nothing here drops a slot, so there is no gap that would excuse it.
            ++violations_;
            fmt::print("mark {} cannot be restored: {}  <-- VIOLATION\n",
                       repo::mark_id(mark.number()),
                       result.obstacles.empty() ? "" : result.obstacles.front().text);
        }
        if (candidates.empty()) return;
        std::set<model::Number> chosen{candidates.front()};
        for (unsigned i = 1; i < settings_.restores; ++i)
            chosen.insert(candidates[random_.below(candidates.size())]);
        for (auto number : chosen)
            restore_one(view, number);
    }

    void restore_one(const repo::RepositoryView& view, model::Number number)
    {
        auto options = restore_options(fmt::format("m{}", number));
        {
            auto plan = repo::need_plan(repo::plan_restore(view, number));
            RestoredGroup group(restored_ % 2 == 0
                                    ? restore_by_program(number, options)
                                    : job::restore_group(context("restore"), plan, options));
            auto verdict = check_bank(group.bank(bank_options_), witness_, windows_.at(number));
            std::size_t unknown = 0;
            for (const auto& doubt : plan.mark->value.at.in_doubt)
                unknown += doubt.verdict.decision == model::Decision::unknown ? 1 : 0;
            bool good = verdict.clean() && verdict.in_doubt == unknown;
            fmt::print("mark {}: {} in doubt there, {} kept; {}{}\n", repo::mark_id(number),
                       plan.mark->value.at.in_doubt.size(), unknown, verdict.describe(),
                       good ? "" : "  <-- VIOLATION");
            for (const auto& example : good ? std::vector<std::string>{} : verdict.examples)
                fmt::print("    {}\n", example);
            ++restored_;
            if (!good) ++violations_;
        }
        std::filesystem::remove_all(options.dir);
    }

    /// Killed a few times at random moments of any phase; the same command then goes on.
    job::RestoreReport restore_by_program(model::Number number, const job::RestoreOptions& options)
    {
        std::vector<std::string> line{"restore", "--to",      repo::mark_id(number),
                                      "--dir",   options.dir, "--start"};
        if (!options.user.empty()) line.insert(line.end(), {"--user", options.user});
        int code = -1;
        for (int round = 0; code < 0; ++round) {
            auto process = spawn(line);
            if (round < kRestoreKills && kill_within(process, 5000ms)) continue;
            auto exit = process.wait();
            code = exit.signal != 0 ? 128 + exit.signal : exit.code;
        }
        // 30: the last kill came after everything was handed over.
        if (code != 0 && code != 3 && code != 30) {
            ++violations_;
            fmt::print("mark {}: the restore that was killed ends with {}  <-- VIOLATION\n",
                       repo::mark_id(number), code);
        }
        return report_of(options.dir);
    }

    /// Where the servers in a restore's folder listen, by their own words.
    job::RestoreReport report_of(const std::filesystem::path& dir) const
    {
        job::RestoreReport report;
        for (const auto& one : group_.members) {
            job::RestoredMember member;
            member.name = one.name;
            member.data_dir = dir / one.name / "data";
            std::ifstream file(member.data_dir / "postmaster.pid");
            std::string text;
            for (int at = 1; std::getline(file, text); ++at) {
                if (at == 4) member.hand_over.port = std::atoi(text.c_str());
                if (at == 5) member.hand_over.socket_dir = text;
            }
            report.members.push_back(std::move(member));
        }
        return report;
    }

    /// One wall-clock time on every member, and restore points placed one after the other.
    void contrast()
    {
        ContrastLab lab{.context = context("restore"), .bank = bank_options_, .witness = witness_};
        auto view = repo::load_view(*storage_, group_.name);
        const auto& newest = view.marks.front().value;
        for (int attempt = 0; attempt < 4 && torn_by_time_ == 0; ++attempt) {
            auto time = time_ - attempt * 150ms;
            RestoredGroup group(lab.restore(restore_options(fmt::format("a{}", attempt)),
                                            lab.goals_at(time, newest)));
            auto verdict = lab.judge(group);
            torn_by_time_ += verdict.torn + verdict.torn_in_doubt;
        }
        RestoredGroup group(lab.restore(restore_options("c"), lab.goals_at(points_, newest)));
        lab.settle(group);
        auto verdict = lab.judge(group);
        torn_in_turn_ = verdict.torn + verdict.torn_in_doubt;
    }

    static constexpr int kRestoreKills = 4;

    const Settings& settings_;
    base::SeededRandom random_;
    base::SystemClock clock_;
    QuietProgress progress_;
    LabFolder folder_;
    std::vector<std::unique_ptr<LabCluster>> clusters_;
    BankOptions bank_options_;
    Witness witness_;
    model::GroupSpec group_;
    std::filesystem::path config_;
    std::unique_ptr<store::Storage> storage_;
    std::optional<repo::Repository> repository_;
    std::map<model::Number, MarkWindow> windows_;
    std::string points_;
    base::Time time_{};
    unsigned server_kills_ = 0, program_kills_ = 0, restored_ = 0, violations_ = 0;
    std::uint64_t torn_by_time_ = 0, torn_in_turn_ = 0;
};

Settings parse(int argc, char** argv)
{
    base::SystemRandom random;
    Settings settings;
    settings.seed = random.below(1'000'000'000);
    for (int i = 1; i + 1 < argc; i += 2) {
        std::string_view name = argv[i];
        auto value = std::strtoull(argv[i + 1], nullptr, 10);
        if (name == "--seed")
            settings.seed = value;
        else if (name == "--seconds")
            settings.seconds = static_cast<unsigned>(value);
        else if (name == "--members")
            settings.members = static_cast<unsigned>(value);
        else if (name == "--restores")
            settings.restores = static_cast<unsigned>(value);
        else {
            fmt::print(stderr, "torture [--seed N] [--seconds N] [--members N] [--restores N]\n");
            std::exit(2);
        }
    }
    return settings;
}

} // namespace
} // namespace tidemark::app

int main(int argc, char** argv)
{
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    try {
        auto settings = tidemark::app::parse(argc, argv);
        return tidemark::app::Torture(settings).run() ? 0 : 1;
    } catch (const std::exception& error) {
        fmt::print(stderr, "torture: {}\n", error.what());
        return 1;
    }
}
