#pragma once

#include "base/clock.h"
#include "job/progress.h"

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace tidemark::app {

/// Progress on stderr: a live block on a terminal, a plain line per member every few seconds
/// elsewhere, nothing for work that ends within two seconds. Notes and warnings are printed as they
/// come.
class ConsoleProgress final : public job::Progress {
public:
    struct Options {
        bool terminal = false;
        bool quiet = false; ///< notes and bars off; warnings stay
    };

    /// Where it writes, and by which clock.
    struct Outside {
        std::function<std::chrono::steady_clock::time_point()> now;
        std::function<void(std::string_view)> write;
    };

    /// Draws on stderr by itself.
    explicit ConsoleProgress(Options options);
    /// Draws only in tick().
    ConsoleProgress(Options options, Outside outside);
    ~ConsoleProgress() override;
    ConsoleProgress(const ConsoleProgress&) = delete;
    ConsoleProgress& operator=(const ConsoleProgress&) = delete;

    void stage(std::string_view who, std::string_view what, std::uint64_t total_bytes) override;
    void advance(std::string_view who, std::uint64_t done_bytes) override;
    void finished(std::string_view who) override;
    void note(std::string_view text) override;
    void warn(std::string_view text) override;

    /// Draws, when it is time to.
    void tick();
    std::vector<std::string> warnings() const;
    /// Clears the live block and stops drawing.
    void close();

private:
    struct Row {
        std::string stage;
        std::uint64_t total = 0;
        std::uint64_t done = 0;
        std::chrono::steady_clock::time_point since;
        std::chrono::steady_clock::time_point moved;
        bool over = false;
    };

    void run(std::stop_token stop);
    void draw_due();
    void draw(std::chrono::steady_clock::time_point now);
    void erase();
    void print_line(std::string_view text);
    static std::string render(const std::string& who, const Row& row,
                              std::chrono::steady_clock::time_point now);

    Options options_;
    Outside outside_;
    mutable std::mutex mutex_;
    std::condition_variable_any wake_;
    std::map<std::string, Row> rows_;
    std::vector<std::string> warnings_;
    std::chrono::steady_clock::time_point started_;
    std::optional<std::chrono::steady_clock::time_point> drawn_; ///< when last
    int drawn_lines_ = 0;
    std::jthread thread_;
};

/// A block may be moved about on stderr: it is a terminal, and NO_COLOR is not set (or empty).
bool may_draw_live(bool is_terminal, const char* no_color);

} // namespace tidemark::app
