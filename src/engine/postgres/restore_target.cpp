#include "engine/postgres/restore_target.h"

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "engine/postgres/amcheck.h"
#include "engine/postgres/config_files.h"
#include "engine/postgres/control_file.h"
#include "engine/postgres/full_disk.h"
#include "engine/postgres/hand_over.h"
#include "engine/postgres/page_check.h"
#include "engine/postgres/plain_start.h"
#include "engine/postgres/preflight.h"
#include "engine/postgres/recovery_data.h"
#include "engine/postgres/recovery_log.h"
#include "engine/postgres/recovery_run.h"
#include "engine/postgres/restore_work.h"
#include "engine/postgres/start_command.h"
#include "engine/postgres/tablespace_places.h"
#include "engine/postgres/trial_start.h"

#include <fmt/format.h>

namespace tidemark::engine::postgres {

namespace {

namespace fs = std::filesystem;
using base::Code;
using base::Error;

class PostgresTarget final : public RestoreTarget {
public:
    explicit PostgresTarget(const TargetConfig& config)
        : config_(config), work_(config, server_user(config.user))
    {
    }
    PostgresTarget(const PostgresTarget&) = delete;
    PostgresTarget& operator=(const PostgresTarget&) = delete;
    ~PostgresTarget() override
    {
        try {
            if (process_) process_->stop();
            give_back_configuration();
        } catch (const std::exception& error) {
            base::log_warning("member {}: {}", config_.member, error.what());
        }
    }

    void preflight() override { require_libraries(bin_dir(), config_.preload_libraries); }

    void prepare(const RecoverySpec& spec) override;
    Reached recover(const std::function<void(model::Offset)>& progress,
                    std::stop_token stop) override;
    model::LogPosition promote(std::stop_token stop) override;
    void resume(std::stop_token stop) override;
    std::vector<PreparedBranch> prepared() override { return server().prepared(); }
    void settle(const PreparedBranch& branch, bool commit) override
    {
        server().settle(branch, commit);
    }
    std::vector<std::string> warnings() override
    {
        return server().warnings(work_.memory().collations);
    }
    ContentCheck check_content(unsigned workers, std::stop_token stop) override;
    std::optional<std::string> ask(const std::string& database, const std::string& sql,
                                   std::stop_token stop) override
    {
        return server().ask(database, sql, std::move(stop));
    }
    PageCheck check_pages(unsigned workers, std::stop_token stop) override
    {
        return check_all_pages(config_.dir, config_.version_num / 10000, control(), workers,
                               std::move(stop));
    }
    void check_hand_over(const HandOverOptions& options) override
    {
        if (options.as_production) require_production(work_.data(), options.captured);
    }
    HandOver prepare_hand_over(const HandOverOptions& options, std::stop_token stop) override;
    void hand_over(HandOver& result, bool start) override;
    void take_back() override
    {
        stop();
        close_handed_over();
    }
    void clean_up() override
    {
        stop();
        work_.remove_outside();
    }
    void stop() override
    {
        if (process_) process_->stop();
        process_.reset();
        auto running = find_running_server(config_.dir, config_.work_dir);
        if (running && (running->ours || running->pid == 0))
            stop_server(config_.dir, config_.work_dir, *running);
        give_back_configuration();
    }
    std::string private_conninfo() const override { return work_.server().conninfo("postgres"); }

private:
    const fs::path& bin_dir()
    {
        if (bin_dir_.empty()) bin_dir_ = find_server_binaries(config_.bin_dir, config_.version_num);
        return bin_dir_;
    }
    ControlFile control() const
    {
        return base::with_context(config_.dir.native(), [&] {
            return parse_control_file(
                base::read_file(config_.dir / kControlPath, kControlFileSize));
        });
    }
    /// What runs here; Error{target_not_empty} when that is somebody else's.
    std::optional<RunningServer> own_server() const;
    void refuse_strangers();
    /// For our own server: nothing of the configuration in the data directory is in force.
    ServerLaunch configure(ServerPurpose purpose);
    /// Undoes what configure() did to it, also where a run fails; not what a killed one left.
    void give_back_configuration()
    {
        if (!parked_ || find_running_server(config_.dir, config_.work_dir)) return;
        unpark_auto_conf(work_.data());
        parked_ = false;
    }
    void start(ServerPurpose purpose);
    void close_handed_over();
    void find_way_in();
    RestoredServer server();
    /// How its users start it.
    ServerLaunch plain_launch();

    TargetConfig config_;
    mutable RestoreWork work_; ///< remembers what it has read
    fs::path bin_dir_;
    std::optional<ServerProcess> process_;
    bool parked_ = false;                                   ///< postgresql.auto.conf, by us
    std::map<std::uint32_t, fs::path> created_tablespaces_; ///< by the log, and their places
};

std::optional<RunningServer> PostgresTarget::own_server() const
{
    auto found = find_running_server(config_.dir, config_.work_dir);
    if (found && found->pid != 0 && !found->ours) {
        throw Error{Code::target_not_empty,
                    fmt::format("a server (process {}) that is not ours runs in {}", found->pid,
                                config_.dir.native()),
                    {.hint = "stop it, or restore to another folder"}};
    }
    return found;
}

void PostgresTarget::refuse_strangers()
{
    if (auto found = own_server()) stop_server(config_.dir, config_.work_dir, *found);
}

void PostgresTarget::prepare(const RecoverySpec& spec)
{
    work_.folder().create();
    work_.data().require_usable();
    refuse_strangers();
    auto control_file = control();
    if (!config_.system_id.empty() && std::to_string(control_file.system_id) != config_.system_id) {
        throw Error{Code::identity_mismatch,
                    fmt::format("{} holds system {} instead of {}", config_.dir.native(),
                                control_file.system_id, config_.system_id)};
    }
    bool known = work_.has_memory() && same_goal(spec.goal, work_.memory().goal);
    if (is_promoted(control_file, spec.goal)) {
        if (known) return; // by an earlier run of ours that could not say so any more
        throw Error{Code::target_not_empty,
                    fmt::format("{} has been promoted already", config_.dir.native()),
                    {.hint = "discard that restore and begin anew"}};
    }
    created_tablespaces_ = spec.created_tablespaces;
    auto memory = memory_of(spec, control_file);
    // An earlier run of ours got into recovery: it goes on from its last restartpoint. The label is
    // the server's to remove, and must not come back.
    bool under_way = work_.has_memory() && !work_.data().exists("backup_label") &&
                     work_.data().read("backup_label.old") == spec.backup_label &&
                     control_file.state != ClusterState::in_production;
    if (under_way && !known)
        throw Error{Code::target_not_empty,
                    fmt::format("{} is being restored to {}", config_.dir.native(),
                                describe_goal(work_.memory().goal)),
                    {.hint = "go on with that restore, or discard it and begin anew"}};
    if (!under_way) {
        work_.set_reached(std::nullopt);
        work_.folder().remove("handed-over");
        work_.folder().remove(kDisabledSubscriptions);
        clear_leftovers(work_.data(), spec);
    }
    work_.remember(memory);
}

ServerLaunch PostgresTarget::configure(ServerPurpose purpose)
{
    auto running = own_server();
    parked_ = true;
    park_auto_conf(work_.data());
    auto now = control();
    if (!running || running->pid == 0 || running->trial) {
        // Its users may have raised them since they got it, and prepared as much.
        auto memory = work_.memory();
        if (raise_limits(memory.limits, now)) work_.remember(memory);
    }
    return work_.configure(purpose, bin_dir(), now);
}

void PostgresTarget::start(ServerPurpose purpose)
{
    process_.emplace(configure(purpose));
    process_->start();
}

Reached PostgresTarget::recover(const std::function<void(model::Offset)>& progress,
                                std::stop_token stop)
{
    auto before = control();
    if (auto known = work_.reached(); known &&
                                      before.state == ClusterState::shut_down_in_recovery &&
                                      !find_running_server(config_.dir, config_.work_dir)) {
        move_tablespaces_out(config_.dir, created_tablespaces_, work_.user());
        return *known;
    }
    const auto& goal = work_.memory().goal;
    auto launch = configure(ServerPurpose::recover);
    process_.emplace(launch);
    auto run = run_recovery(*process_, launch.log_file, before.wal_segment_size, progress, stop);
    process_.reset();
    auto reached = judge_recovery(run, goal, control(), launch.log_file.native());
    work_.set_reached(reached);
    move_tablespaces_out(config_.dir, created_tablespaces_, work_.user());
    return reached;
}

model::LogPosition PostgresTarget::promote(std::stop_token stop)
{
    refuse_strangers();
    auto before = control();
    if (!is_promoted(before, work_.memory().goal)) {
        if (before.state == ClusterState::in_production)
            throw Error{Code::failed, fmt::format("{} has not been recovered to its goal yet",
                                                  config_.dir.native())};
        if (!work_.data().exists("recovery.signal")) {
            // Killed in the midst of a promotion: without the signal the server would take what
            // lies in pg_wal for its own, beyond the goal.
            work_.data().empty("pg_wal");
            work_.data().write("recovery.signal", "");
        }
        auto launch = configure(ServerPurpose::promote);
        process_.emplace(launch);
        promote_server(*process_, work_.server(), launch.log_file, before.wal_segment_size,
                       work_.memory().goal, stop);
    } else {
        start(ServerPurpose::run);
    }
    resume(stop);
    return branch_point(work_.data(), work_.memory().goal, control_epoch(server()));
}

/// An earlier run of ours handed the server over, running, and died before it could say so: it is
/// ours again.
void PostgresTarget::close_handed_over()
{
    if (!work_.folder().exists("handed-over")) return;
    auto running = find_running_server(config_.dir, config_.work_dir);
    if (running && running->pid != 0 && !running->ours)
        stop_server(config_.dir, config_.work_dir, *running);
    work_.folder().remove("handed-over");
}

void PostgresTarget::resume(std::stop_token stop)
{
    if (process_ && !process_->running()) process_.reset();
    if (!process_) {
        close_handed_over();
        process_.emplace(configure(ServerPurpose::run));
        if (!process_->adopt()) {
            if (!is_promoted(control(), work_.memory().goal))
                throw Error{Code::failed,
                            fmt::format("{} has not been promoted yet", config_.dir.native())};
            process_->start();
        }
    }
    auto opened = [&] {
        wait_for_promoted(*process_, work_.server(), config_.work_dir / "run.log", stop);
    };
    try {
        opened();
    } catch (const SqlError& error) {
        // At the goal roles and databases are not what they were at the backup.
        if (!is_shut_out(error)) throw;
        find_way_in();
        start(ServerPurpose::run);
        opened();
    }
    work_.server().require_identity(config_.dir, config_.system_id);
}

void PostgresTarget::find_way_in()
{
    stop();
    auto launch = configure(ServerPurpose::run);
    auto memory = work_.memory();
    auto way = postgres::find_way_in(launch);
    memory.superuser = way.superuser;
    memory.database = way.database;
    base::log_info("member {}: at the goal the superuser {} may log in, and the database {} "
                   "accepts connections",
                   config_.member, way.superuser, way.database);
    work_.remember(memory);
}

RestoredServer PostgresTarget::server()
{
    if (!process_ || !process_->running()) resume({});
    return work_.server();
}

ContentCheck PostgresTarget::check_content(unsigned workers, std::stop_token stop)
{
    auto restored = server();
    return run_amcheck(restored,
                       {.bin_dir = bin_dir(),
                        .version_num = config_.version_num,
                        .user = work_.user(),
                        .workers = workers},
                       std::move(stop));
}

ServerLaunch PostgresTarget::plain_launch()
{
    return {.bin_dir = bin_dir(),
            .data_dir = config_.dir,
            .work_dir = config_.work_dir,
            .config_file = config_.dir / "postgresql.conf",
            .log_file = {},
            .user = work_.user()};
}

HandOver PostgresTarget::prepare_hand_over(const HandOverOptions& options, std::stop_token stop)
{
    HandOver result;
    // They are in no backup (rules.md 27).
    result.neutralised.emplace_back("replication slots are not restored: standbys need new ones, "
                                    "logical consumers start again");
    auto restored = server();
    restored.close_opened_databases();
    if (options.as_production) {
        auto enabled = restored.enable_subscriptions();
        for (const auto& name : enabled.now)
            result.changed_lines.push_back(
                fmt::format("subscription {}: disabled by an earlier run -> enabled", name));
        for (const auto& name : enabled.failed)
            result.neutralised.push_back("left disabled by an earlier run: subscription " + name);
    } else {
        for (const auto& name : restored.disable_subscriptions())
            result.neutralised.push_back(fmt::format("subscription {} is disabled", name));
    }
    this->stop();
    unpark_auto_conf(work_.data()); // of a server that an earlier run started, too
    if (stop.stop_requested()) throw Error{Code::cancelled, "the restore was stopped"};

    auto setup = work_.setup(ServerPurpose::keep, control());
    const auto apart = setup;
    if (can_hold_socket(config_.dir)) setup.socket_dir = config_.dir;
    if (options.as_production) {
        write_production(work_.data(), options.captured, result, options.data_directory);
    } else {
        write_quarantine(work_.data(), setup, options.captured, result, options.data_directory);
    }
    require_data_directory(plain_launch());
    // In quarantine the server has run under nearly the same text until now.
    if (options.as_production)
        try_configuration(plain_launch(), work_.folder(), apart, std::move(stop));
    result.start_command =
        start_command(bin_dir(), config_.dir, work_.user() ? work_.user()->name : "");
    return result;
}

void PostgresTarget::hand_over(HandOver& result, bool start)
{
    work_.folder().write("handed-over", "");
    if (!start) return;
    auto place = start_plainly(plain_launch(), work_.data());
    result.port = place.port;
    result.socket_dir = place.socket_dir;
    result.start_command.clear();
}

} // namespace

std::unique_ptr<RestoreTarget> open_postgres_target(const TargetConfig& config)
{
    return mind_full_disks(std::make_unique<PostgresTarget>(config), config);
}

} // namespace tidemark::engine::postgres
