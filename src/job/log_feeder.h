#pragma once

#include "engine/engine.h"
#include "job/line_server.h"
#include "job/target_tree.h"
#include "repo/log_reader.h"
#include "repo/restore_plan.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace tidemark::job {

/// What the log helper is told about one file PostgreSQL asked for.
enum class FeedAnswer : std::uint8_t {
    ready,  ///< it lies in the spool
    absent, ///< outside the plan: the helper exits 1
    failed, ///< the plan holds it and it cannot be delivered: the helper exits 200 (rules.md 28)
};

/// Serves the log of one member to the server that recovers it. PostgreSQL runs `tidemark
/// fetch-log`, which asks here over a Unix socket and moves the file out of the spool: so the
/// repository need not be readable for the server's user, and segments are unpacked ahead of the
/// replay.
class LogFeeder {
public:
    struct Options {
        std::filesystem::path folder; ///< ours, on the file system of the data directory; holds
                                      ///< socket and spool; the server's user may enter it
        std::optional<Owner> owner;   ///< the server's user
        std::uint32_t segment_size = 0;
        std::vector<engine::LogPatch> patches = {}; ///< in place of what the repository holds
        std::size_t ahead = 6;                      ///< segments unpacked before they are asked for
        /// With whoever connects and does not say what it wants: the socket is the server's, whose
        /// account we do not trust (rules.md 29).
        std::chrono::milliseconds patience{5'000};
    };

    LogFeeder(store::Storage& storage, const repo::MemberPlan& plan, Options options);
    ~LogFeeder();
    LogFeeder(const LogFeeder&) = delete;
    LogFeeder& operator=(const LogFeeder&) = delete;

    /// Timelines above the plan's and below `epoch` shall look taken, so that the server's next one
    /// is `epoch` (rules.md 24).
    void reserve_below(model::Epoch epoch);
    /// Makes `name` ready in the spool, or says why not. Called for each request; usable directly
    /// in tests.
    FeedAnswer provide(const std::string& name);
    std::filesystem::path spool() const { return options_.folder / "spool"; }
    std::filesystem::path socket() const { return options_.folder / "log.sock"; }
    /// The first failure, for the report.
    std::optional<std::string> failure() const;
    /// Its code, where it was an Error.
    std::optional<base::Code> failure_code() const;

private:
    struct Segment {
        model::Epoch epoch = 0;
        std::uint64_t number = 0;
    };
    struct Extent { ///< what of a segment exists in the plan, along the history
        model::Offset from = 0;
        model::Offset to = 0;
    };

    std::optional<Segment> parse(const std::string& name) const;
    std::string name_of(const Segment& segment) const;
    std::optional<Extent> extent_of(const Segment& segment) const;
    FeedAnswer provide_history(const std::string& name, model::Epoch epoch);
    void build(const Segment& segment, const Extent& extent, const std::string& name);
    void put_patches(int fd, const Extent& extent, const std::string& name) const;
    void write_spool(const std::string& name, base::ByteView bytes);
    std::string_view answer(const std::string& name);
    void prefetch(std::stop_token stop);
    void want_after(const Segment& segment);

    store::Storage& storage_;
    const repo::MemberPlan& plan_;
    model::MemberId id_;
    Options options_;
    repo::LogReader reader_;
    base::Fd folder_;
    std::optional<TargetTree> tree_;
    mutable std::mutex mutex_;
    std::condition_variable_any changed_;
    std::set<std::string> ready_;
    std::set<std::string> building_;
    std::deque<Segment> wanted_;
    std::optional<std::string> failure_;
    std::optional<base::Code> failure_code_;
    model::Epoch reserved_ = 0;
    std::jthread prefetcher_;
    std::optional<LineServer> server_;
};

/// The helper's side: asks the feeder in `folder` for `name` and moves it to `target`. Returns the
/// exit code for PostgreSQL: 0, 1 or 200. Never throws.
int fetch_log(const std::filesystem::path& folder, const std::string& name,
              const std::filesystem::path& target);

} // namespace tidemark::job
