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
constexpr auto kLiveEvery = 250ms;  ///< between two states of the live block
constexpr auto kPlainEvery = 5s;    ///< between plain lines
constexpr auto kStalledAfter = 60s; ///< without movement

ConsoleProgress::Outside on_stderr()
{
    return {.now = [] { return steady_clock::now(); },
            .write =
                [](std::string_view text) {
                    std::fwrite(text.data(), 1, text.size(), stderr);
                    std::fflush(stderr);
                }};
}

} // namespace

bool may_draw_live(bool is_terminal, const char* no_color)
{
    return is_terminal && (no_color == nullptr || *no_color == '\0');
}

ConsoleProgress::ConsoleProgress(Options options, Outside outside)
    : options_(options), outside_(std::move(outside)), started_(outside_.now())
{
}

ConsoleProgress::ConsoleProgress(Options options) : ConsoleProgress(options, on_stderr())
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
    auto now = outside_.now();
    rows_[std::string(who)] = Row{std::string(what), total_bytes, 0, now, now, false};
}

void ConsoleProgress::advance(std::string_view who, std::uint64_t done_bytes)
{
    std::lock_guard lock(mutex_);
    auto found = rows_.find(std::string(who));
    if (found == rows_.end()) return;
    if (done_bytes > found->second.done) found->second.moved = outside_.now();
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
    outside_.write(base::escape_controls(text) + "\n");
}

void ConsoleProgress::erase()
{
    std::string up;
    for (; drawn_lines_ > 0; --drawn_lines_)
        up += "\x1b[1A\x1b[2K";
    if (!up.empty()) outside_.write(up);
}

std::string ConsoleProgress::render(const std::string& who, const Row& row,
                                    steady_clock::time_point now)
{
    std::string line = fmt::format("{:<12} {:<18}", who, row.stage);
    auto seconds = std::chrono::duration<double>(now - row.since).count();
    if (row.over) return line + " done";
    // How much there is to do is worth knowing before the first byte of it is done.
    if (row.done > 0 || row.total > 0) line += " " + base::format_size(row.done);
    if (row.total > 0) {
        auto share = std::min(1.0, static_cast<double>(row.done) / static_cast<double>(row.total));
        line += fmt::format(" of {} ({:.0f} %)", base::format_size(row.total), share * 100);
    }
    if (row.done > 0) {
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

void ConsoleProgress::draw(steady_clock::time_point now)
{
    erase();
    for (const auto& [who, row] : rows_) {
        if (!options_.terminal && row.over) continue;
        outside_.write(base::escape_controls(render(who, row, now)) + "\n");
        if (options_.terminal) ++drawn_lines_;
    }
}

void ConsoleProgress::draw_due()
{
    auto now = outside_.now();
    if (options_.quiet || now - started_ < kQuietFor) return;
    auto every = options_.terminal ? kLiveEvery : std::chrono::milliseconds{kPlainEvery};
    if (drawn_ && now - *drawn_ < every) return;
    drawn_ = now;
    draw(now);
}

void ConsoleProgress::tick()
{
    std::lock_guard lock(mutex_);
    draw_due();
}

void ConsoleProgress::run(std::stop_token stop)
{
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
        wake_.wait_for(lock, stop, kLiveEvery, [] { return false; });
        if (!stop.stop_requested()) draw_due();
    }
}

} // namespace tidemark::app
