#include "app/cli/console_progress.h"

#include "base/log.h"

#include <algorithm>
#include <cstdio>
#include <fmt/format.h>

namespace tidemark::app {

using std::chrono::steady_clock;
using namespace std::chrono_literals;

namespace {

constexpr auto kQuietFor = 2s;      ///< shorter work shows nothing
constexpr auto kPlainEvery = 5s;    ///< between plain lines
constexpr auto kStalledAfter = 60s; ///< without movement

} // namespace

ConsoleProgress::ConsoleProgress(Options options) : options_(options), started_(steady_clock::now())
{
    if (!options_.quiet) thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
}

ConsoleProgress::~ConsoleProgress()
{
    close();
}

void ConsoleProgress::close()
{
    if (thread_.joinable()) {
        thread_.request_stop();
        thread_.join();
    }
    std::lock_guard lock(mutex_);
    erase();
}

void ConsoleProgress::stage(std::string_view who, std::string_view what, std::uint64_t total_bytes)
{
    std::lock_guard lock(mutex_);
    auto now = steady_clock::now();
    rows_[std::string(who)] = Row{std::string(what), total_bytes, 0, now, now, false};
}

void ConsoleProgress::advance(std::string_view who, std::uint64_t done_bytes)
{
    std::lock_guard lock(mutex_);
    auto found = rows_.find(std::string(who));
    if (found == rows_.end()) return;
    if (done_bytes > found->second.done) found->second.moved = steady_clock::now();
    found->second.done = std::max(found->second.done, done_bytes);
}

void ConsoleProgress::finished(std::string_view who)
{
    std::lock_guard lock(mutex_);
    if (auto found = rows_.find(std::string(who)); found != rows_.end()) found->second.over = true;
}

void ConsoleProgress::note(std::string_view text)
{
    std::lock_guard lock(mutex_);
    if (options_.quiet) return;
    while (text.ends_with('\n'))
        text.remove_suffix(1);
    for (auto end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
        print_line(text.substr(0, end));
        text.remove_prefix(end + 1);
    }
    print_line(text);
}

void ConsoleProgress::warn(std::string_view text)
{
    std::lock_guard lock(mutex_);
    warnings_.emplace_back(text);
    print_line("warning: " + std::string(text));
}

std::vector<std::string> ConsoleProgress::warnings() const
{
    std::lock_guard lock(mutex_);
    return warnings_;
}

void ConsoleProgress::print_line(std::string_view text)
{
    erase();
    std::string line = base::escape_controls(text) + "\n";
    std::fwrite(line.data(), 1, line.size(), stderr);
    std::fflush(stderr);
}

void ConsoleProgress::erase()
{
    for (; drawn_lines_ > 0; --drawn_lines_)
        std::fputs("\x1b[1A\x1b[2K", stderr);
    std::fflush(stderr);
}

std::string ConsoleProgress::render(const std::string& who, const Row& row,
                                    steady_clock::time_point now)
{
    std::string line = fmt::format("{:<12} {:<18}", who, row.stage);
    auto seconds = std::chrono::duration<double>(now - row.since).count();
    if (row.over) return line + " done";
    if (row.done > 0) {
        line += " " + base::format_size(row.done);
        if (row.total > 0) {
            auto share =
                std::min(1.0, static_cast<double>(row.done) / static_cast<double>(row.total));
            line += fmt::format(" of {} ({:.0f} %)", base::format_size(row.total), share * 100);
        }
        double rate = static_cast<double>(row.done) / std::max(seconds, 0.001);
        line += fmt::format(", {}/s", base::format_size(static_cast<std::uint64_t>(rate)));
        if (row.total > row.done && rate > 0) {
            auto left = static_cast<double>(row.total - row.done) / rate;
            line += ", " +
                    base::format_duration(base::Duration{static_cast<std::int64_t>(left * 1e6)}) +
                    " left";
        }
    }
    if (now - row.moved > kStalledAfter && !row.stage.starts_with("wait"))
        line += ", no movement for " +
                base::format_duration(std::chrono::duration_cast<base::Duration>(now - row.moved));
    return line;
}

void ConsoleProgress::draw()
{
    erase();
    auto now = steady_clock::now();
    for (const auto& [who, row] : rows_) {
        if (!options_.terminal && row.over) continue;
        std::string line = base::escape_controls(render(who, row, now)) + "\n";
        std::fwrite(line.data(), 1, line.size(), stderr);
        if (options_.terminal) ++drawn_lines_;
    }
    std::fflush(stderr);
}

void ConsoleProgress::run(std::stop_token stop)
{
    auto every =
        options_.terminal ? std::chrono::milliseconds{250} : std::chrono::milliseconds{kPlainEvery};
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, stop, kQuietFor, [] { return false; });
    while (!stop.stop_requested()) {
        draw();
        wake_.wait_for(lock, stop, every, [] { return false; });
    }
}

} // namespace tidemark::app
