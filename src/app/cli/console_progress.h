#pragma once

#include "base/clock.h"
#include "job/progress.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
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

    explicit ConsoleProgress(Options options);
    ~ConsoleProgress() override;
    ConsoleProgress(const ConsoleProgress&) = delete;
    ConsoleProgress& operator=(const ConsoleProgress&) = delete;

    void stage(std::string_view who, std::string_view what, std::uint64_t total_bytes) override;
    void advance(std::string_view who, std::uint64_t done_bytes) override;
    void finished(std::string_view who) override;
    void note(std::string_view text) override;
    void warn(std::string_view text) override;

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
    void draw();
    void erase();
    void print_line(std::string_view text);
    static std::string render(const std::string& who, const Row& row,
                              std::chrono::steady_clock::time_point now);

    Options options_;
    mutable std::mutex mutex_;
    std::condition_variable_any wake_;
    std::map<std::string, Row> rows_;
    std::vector<std::string> warnings_;
    std::chrono::steady_clock::time_point started_;
    int drawn_lines_ = 0;
    std::jthread thread_;
};

} // namespace tidemark::app
