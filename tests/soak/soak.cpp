// What an operator leaves running: `tidemark run` by a timer (here a loop) on a group of four
// members under load, one of them reached by TCP only, another with a standby, while things go
// wrong. Every run that follows a trouble has to be a good one. Then all is destroyed, and somebody
// who has nothing but the recovery sheet restores: money conserved, no transfer half there, none
// missing that was acknowledged before the last mark, none there that was begun after it.

#include "base/fd.h"
#include "base/random.h"
#include "cli/group_lab.h"
#include "cli/stranger.h"
#include "soak_group.h"
#include "trouble.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fmt/format.h>
#include <map>
#include <optional>
#include <string_view>
#include <thread>
#include <unistd.h>

namespace tidemark::support {
namespace {

using namespace std::chrono_literals;
using Instant = std::chrono::steady_clock::time_point;

struct Settings {
    std::uint64_t seed = 0;
    unsigned rounds = 60;
    unsigned every = 60; ///< seconds from one start of a run to the next
};

double seconds_since(Instant begin)
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

std::string first_line(const std::string& text)
{
    auto at = text.find("tidemark: ");
    if (at == text.npos) return {};
    return "; " + text.substr(at, text.find('\n', at) - at);
}

class Soak {
public:
    explicit Soak(const Settings& settings) : settings_(settings), random_(settings.seed) {}

    bool run()
    {
        fmt::print("seed {}: {} runs, one every {} s, in {}\n", settings_.seed, settings_.rounds,
                   settings_.every, group_.folder().string());
        require("init", group_.run({"init"}));
        app::Bank bank(group_.bank, witness_);
        bank.start();
        good_run("the first");
        auto next = std::chrono::steady_clock::now();
        for (unsigned round = 1; round < settings_.rounds; ++round) {
            next += std::chrono::seconds{settings_.every};
            std::this_thread::sleep_until(next);
            next = std::max(next, std::chrono::steady_clock::now() - 1s);
            if (round % 2 == 1 && round + 1 < settings_.rounds)
                run_with(next_trouble());
            else
                good_run(round + 1 == settings_.rounds ? "the last" : "");
            if (round == settings_.rounds / 2) require("drill", group_.run({"drill", "-q"}));
        }
        auto sheet = look_at_the_end();
        group_.destroy();
        bank.stop();
        auto stats = bank.stats();
        fmt::print("all is destroyed, {} transfers after the beginning ({} rolled back, {} "
                   "unknown)\n",
                   stats.committed, stats.rolled_back, stats.unknown);
        restore(sheet);
        fmt::print("{} good runs, {} troubles of {} kinds, {} violations\n", good_, seen_.size(),
                   kinds_.size(), violations_);
        return violations_ == 0;
    }

private:
    void violation(const std::string& text)
    {
        ++violations_;
        fmt::print("  {}  <-- VIOLATION\n", text);
    }

    void require(const std::string& what, const ToolRun& run)
    {
        if (run.code() != 0 && run.code() != 3) violation(what + ": " + run.text());
    }

    /// Nothing goes wrong around it any more, so it has to end well, and restore points stand.
    void good_run(const std::string& why)
    {
        auto begin = std::chrono::steady_clock::now();
        auto run = group_.run({"run"});
        window_ = {.first_sent = begin, .last_returned = std::chrono::steady_clock::now()};
        fmt::print("run {}{}: exit {} after {:.1f} s{}\n", ++good_,
                   why.empty() ? "" : " (" + why + ")", run.code(), seconds_since(begin),
                   first_line(run.err));
        require("a run after the trouble was over", run);
        if (chain_broken_ && run.out.find("full backup") == run.out.npos)
            violation("the chain was broken, and no full backup was taken: " + run.text());
        chain_broken_ = false;
    }

    /// Every kind once, in an order by chance, then again.
    Trouble next_trouble()
    {
        auto all = troubles(group_, random_);
        if (order_.empty()) {
            for (std::size_t i = 0; i < all.size(); ++i)
                order_.insert(order_.begin() +
                                  static_cast<std::ptrdiff_t>(random_.below(order_.size() + 1)),
                              i);
        }
        auto chosen = order_.back();
        order_.pop_back();
        kinds_[chosen] += 1;
        return std::move(all[chosen]);
    }

    void run_with(const Trouble& trouble)
    {
        auto begin = std::chrono::steady_clock::now();
        trouble.before();
        auto process = group_.spawn(trouble.command);
        trouble.during(process);
        // A frozen server or a hidden repository may be what it waits for.
        bool ended = process.wait_for(30s).has_value();
        trouble.after();
        auto run = Tool::finish(std::move(process), trouble.command);
        chain_broken_ = trouble.breaks_the_chain;
        seen_.push_back(trouble.name);
        fmt::print("{}: exit {} after {:.1f} s{}{}\n", trouble.name, run.code(),
                   seconds_since(begin), ended ? "" : " (it waited until that was over)",
                   first_line(run.err));
        if (run.exit.timed_out) violation("it never ended: " + run.text());
        if (run.exit.signal != 0 && !trouble.kills_the_program)
            violation("it crashed: " + run.text());
        if (run.exit.signal == 0 && run.code() != 0 && run.code() != 3 && !run.explained())
            violation("it failed without a clear message: " + run.text());
    }

    /// What the group looks like to its operator at the end; the sheet.
    std::string look_at_the_end()
    {
        require("verify", group_.run({"verify"}));
        require("status", group_.run({"status", "--exit-code"}));
        require("audit", group_.run({"audit", "latest"}));
        auto marks = group_.run({"list", "marks"});
        require("list marks", marks);
        auto paper = group_.folder() / "sheet.md";
        std::filesystem::remove(paper);
        require("sheet", group_.run({"sheet", "--dir", group_.restored().string(), "--output",
                                     paper.string()}));
        auto bytes = base::read_file(paper, 1U << 20);
        return std::string(base::as_text(bytes));
    }

    void restore(const std::string& sheet)
    {
        auto begin = std::chrono::steady_clock::now();
        if (::geteuid() == 0)
            follow(sheet);
        else // the sheet's commands are for root
            require("restore",
                    group_.run_without_configuration({"restore", "--to", "latest", "--dir",
                                                      group_.restored().string(), "--start"}));
        auto took = seconds_since(begin);
        auto bank = group_.restored_bank();
        auto verdict = app::check_bank(bank, witness_, window_);
        fmt::print("restored after {:.1f} s: {}\n", took, verdict.describe());
        if (!verdict.clean()) {
            for (const auto& example : verdict.examples)
                fmt::print("    {}\n", example);
            violation("the restored group is not what it was at the last mark");
        }
        stop_restored(group_.restored());
    }

    /// To the letter, except what stops the servers again.
    void follow(const std::string& sheet)
    {
        Stranger stranger(group_.folder() / "stranger", group_.cluster(0).install());
        for (const auto& command : commands_of(sheet)) {
            if (command.starts_with("kill ")) continue;
            auto done = stranger.run(command);
            if (done.exit.code != 0 && done.exit.code != 3)
                violation("the sheet's line " + command + "\n" + done.out + done.err);
        }
    }

    const Settings& settings_;
    base::SeededRandom random_;
    SoakGroup group_;
    app::Witness witness_;
    app::MarkWindow window_;
    std::vector<std::size_t> order_;
    std::map<std::size_t, unsigned> kinds_;
    std::vector<std::string> seen_;
    bool chain_broken_ = false;
    unsigned good_ = 0, violations_ = 0;
};

Settings parse(int argc, char** argv)
{
    Settings settings;
    base::SystemRandom random;
    settings.seed = random.below(1'000'000'000);
    for (int i = 1; i < argc; i += 2) {
        std::string_view name = argv[i];
        auto value = i + 1 < argc ? std::strtoull(argv[i + 1], nullptr, 10) : 0;
        if (name == "--seed" && i + 1 < argc)
            settings.seed = value;
        else if (name == "--rounds" && value >= 4)
            settings.rounds = static_cast<unsigned>(value);
        else if (name == "--every" && value >= 1)
            settings.every = static_cast<unsigned>(value);
        else {
            fmt::print(stderr, "soak [--seed N] [--rounds N, at least 4] [--every SECONDS]\n");
            std::exit(2);
        }
    }
    return settings;
}

} // namespace
} // namespace tidemark::support

int main(int argc, char** argv)
{
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    try {
        auto settings = tidemark::support::parse(argc, argv);
        return tidemark::support::Soak(settings).run() ? 0 : 1;
    } catch (const std::exception& error) {
        fmt::print(stderr, "soak: {}\n", error.what());
        return 1;
    }
}
