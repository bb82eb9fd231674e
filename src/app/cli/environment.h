#pragma once

#include "app/cli/console_progress.h"
#include "app/cli/options.h"
#include "app/cli/output.h"
#include "app/config.h"
#include "job/context.h"
#include "model/run.h"
#include "repo/repository.h"
#include "repo/view.h"

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

namespace tidemark::app {

/// What every command starts from: configuration, repository, group, progress, signals. Each is
/// looked up when it is first asked for, so that a command which needs no configuration works
/// without one.
class Environment {
public:
    Environment(const Options& options, Output& output);
    ~Environment();

    const Options& options() const { return options_; }
    Output& output() { return output_; }
    ConsoleProgress& progress() { return progress_; }
    /// The exit code of work that was done: 3 where it warned.
    int done() const;
    base::Clock& clock() { return clock_; }
    std::stop_token stop() const { return stop_.get_token(); }

    /// Empty when there is no configuration file and none was named.
    const Config* config();
    const model::RepositorySpec& repository_spec();
    repo::Repository& repository();
    /// The named group, the only configured one, or, without configuration, the only one in the
    /// repository.
    const model::GroupSpec& group();
    /// The group is configured, so its members can be reached.
    bool configured();
    job::Context context();
    /// Threads for each of so many members that work at once, as --jobs or the processors have it.
    std::uint32_t workers(std::size_t at_once) const;
    /// Loads the repository's view of the group, and warns when the repository went back (rules.md
    /// 35).
    repo::RepositoryView view(const repo::ViewOptions& options = {});
    /// The same of what the present needs (repo::load_recent).
    repo::RepositoryView recent_view();
    void set_group(model::GroupSpec group) { group_ = std::move(group); }
    void set_repository(model::RepositorySpec spec) { repository_spec_ = std::move(spec); }
    /// Opens the repository's place; `create` makes the folder.
    store::Storage& open_place(bool create);
    /// Remembers outside the repository which mark and set are the newest, and where it is; not
    /// under --plan.
    void remember(model::Number mark, model::Number set);
    /// For init: compares the repository with what this host knows of it, and remembers it.
    void meet_repository() { compare_heads(); }
    /// Error{repository_unreachable} when the place is empty and this host saw a repository there:
    /// its disk is not mounted, perhaps.
    void require_mounted();
    /// One name for the repository's place, however it is written.
    std::string place_name();

private:
    void compare_heads();
    void watch_signals();
    void pick_group();
    bool names_another_repository();
    std::optional<Config> load_or_leave(const std::filesystem::path& path);

    const Options& options_;
    Output& output_;
    base::SystemClock clock_;
    std::stop_source stop_;
    std::jthread signals_;
    std::optional<std::optional<Config>> config_;
    std::optional<model::RepositorySpec> repository_spec_;
    std::unique_ptr<store::Storage> storage_;
    std::optional<repo::Repository> repository_;
    std::optional<model::GroupSpec> group_;
    bool group_configured_ = false;
    ConsoleProgress progress_;
};

/// Where this host remembers what it saw of repositories; empty when it can be nowhere.
std::filesystem::path state_folder();

/// Runs `work` and records the run in the repository's history, also when it fails.
/// `work` fills the run's set and mark; returns the exit code. `recorded` is called when the record
/// is in the repository; a failure that cannot be recorded there is kept in `memory`.
int recorded_run(Environment& environment, const std::function<int(model::Run&)>& work,
                 const std::function<void()>& recorded = {},
                 const std::filesystem::path& memory = state_folder());

} // namespace tidemark::app
