#include "app/cli/environment.h"

#include "app/wiring.h"
#include "base/fd.h"
#include "base/host.h"
#include "base/log.h"
#include "job/workers.h"
#include "repo/head_memory.h"
#include "repo/layout.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace tidemark::app {

using base::Code;
using base::Error;

namespace {

int signal_fd = -1;

constexpr const char* kGoneForGood =
    "mount it and run the same command again; when the repository is gone for good, tidemark init "
    "--new-repository begins another one there";

constexpr const char* kNoMemory =
    "this host has not seen this repository before: whether it was put "
    "back to an older state cannot be told from here";

extern "C" void on_signal(int)
{
    std::uint64_t one = 1;
    [[maybe_unused]] auto ignored = ::write(signal_fd, &one, sizeof one);
}

std::filesystem::path plain_path(const std::string& url)
{
    auto path = std::filesystem::absolute(url.starts_with("file://") ? url.substr(7) : url)
                    .lexically_normal();
    return path.has_filename() ? path : path.parent_path();
}

std::string joined(const std::vector<std::string>& names)
{
    std::string out;
    for (const auto& name : names)
        out += (out.empty() ? "" : ", ") + name;
    return out;
}

/// None of the configuration's groups is meant, or it cannot be told which.
Error no_such_group(const Options& options, const std::vector<std::string>& names,
                    const std::filesystem::path& config)
{
    if (names.empty())
        return {Code::usage,
                "the configuration " + config.string() + " has no group",
                {.hint = "write one (docs/guide/configuration.md), or name another file with "
                         "--config; what a group's backups hold is reached with --repo"}};
    bool by_option =
        options.command == "init" || options.command == "add-member" || options.command == "leave";
    std::string hint = (by_option ? "name one with --group: " : "name one: ") + joined(names);
    if (options.command == "restore" || options.command == "drill")
        hint += "; a mark to restore is named with --to";
    return {Code::usage,
            options.group.empty() ? "the configuration has several groups: " + joined(names)
                                  : "the configuration has no group " + options.group,
            {.hint = hint}};
}

} // namespace

std::filesystem::path state_folder()
{
    if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state == '/')
        return std::filesystem::path(state) / "tidemark";
    if (::geteuid() == 0) return "/var/lib/tidemark";
    if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/')
        return std::filesystem::path(home) / ".local/state/tidemark";
    return {};
}

Environment::Environment(const Options& options, Output& output)
    : options_(options), output_(output),
      progress_({.terminal = may_draw_live(::isatty(STDERR_FILENO) == 1, std::getenv("NO_COLOR")),
                 .quiet = options.quiet})
{
    watch_signals();
}

Environment::~Environment()
{
    signals_.request_stop();
    on_signal(0);
}

/// The first signal asks the work to stop, the second ends the process.
void Environment::watch_signals()
{
    signal_fd = ::eventfd(0, EFD_CLOEXEC);
    struct sigaction action = {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    for (int number : {SIGINT, SIGTERM, SIGHUP})
        ::sigaction(number, &action, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    signals_ = std::jthread([this](std::stop_token over) {
        std::uint64_t value = 0;
        while (::read(signal_fd, &value, sizeof value) < 0 && errno == EINTR) {
        }
        if (over.stop_requested()) return;
        for (int number : {SIGINT, SIGTERM, SIGHUP})
            std::signal(number, SIG_DFL);
        stop_.request_stop();
    });
}

/// Whoever names a repository needs no configuration: on a bare machine, one that lies about and
/// cannot be read must not stand in the way of a restore.
std::optional<Config> Environment::load_or_leave(const std::filesystem::path& path)
{
    try {
        return load_config(path);
    } catch (const Error& error) {
        if (options_.config || options_.repository.empty() || options_.command == "init") throw;
        progress_.note(
            fmt::format("the configuration {} is left aside: {}", path.native(), error.what()));
        return std::nullopt;
    }
}

const Config* Environment::config()
{
    if (!config_) {
        auto path = options_.config ? options_.config : find_config();
        config_.emplace();
        // init is what makes a file that is not there yet.
        bool to_be_made = options_.command == "init" && path && !std::filesystem::exists(*path);
        if (path && !to_be_made) *config_ = load_or_leave(*path);
    }
    return *config_ ? &**config_ : nullptr;
}

const model::RepositorySpec& Environment::repository_spec()
{
    if (repository_spec_) return *repository_spec_;
    if (!options_.repository.empty()) {
        repository_spec_ = model::RepositorySpec{
            .name = "main", .url = options_.repository, .compression_level = 2};
        if (const auto* known = config()) {
            for (const auto& entry : known->repositories) {
                if (entry.url == options_.repository || entry.name == options_.repository)
                    repository_spec_ = entry;
            }
        }
        return *repository_spec_;
    }
    if (config() == nullptr) {
        throw Error{Code::usage,
                    "there is no configuration file and no --repo",
                    {.hint = "say --repo PATH, or make a configuration with tidemark init"}};
    }
    pick_group();
    repository_spec_ = *config()->repository(group_->repository);
    return *repository_spec_;
}

store::Storage& Environment::open_place(bool create)
{
    if (!storage_) storage_ = open_storage(repository_spec().url, create);
    return *storage_;
}

repo::Repository& Environment::repository()
{
    if (repository_) return *repository_;
    auto& place = open_place(false);
    require_mounted();
    repository_ = repo::Repository::open(place);
    return *repository_;
}

std::string Environment::place_name()
{
    return plain_path(repository_spec().url).string();
}

void Environment::require_mounted()
{
    auto folder = state_folder();
    if (folder.empty()) return;
    std::optional<std::string> seen;
    try {
        seen = repo::HeadMemory(folder).recall_place(place_name());
    } catch (const std::exception& error) {
        base::log_debug("it is not known what was here before: {}", error.what());
    }
    if (!seen) return;
    std::error_code unknown;
    if (!storage_ && !std::filesystem::exists(place_name(), unknown) && !unknown)
        throw Error{Code::repository_unreachable,
                    fmt::format("{} is not there, and this host saw a repository there (id {}): "
                                "the disk may not be mounted",
                                place_name(), *seen),
                    {.hint = kGoneForGood}};
    auto& place = open_place(false);
    if (repo::Repository::exists(place) || !place.list(repo::groups_prefix()).empty()) return;
    throw Error{Code::repository_unreachable,
                fmt::format("{} holds no repository, and this host saw one there (id {}): the disk "
                            "may not be mounted",
                            place.traits().where, *seen),
                {.hint = kGoneForGood}};
}

/// --repo names a repository that the configuration does not know: then its groups are others, too.
bool Environment::names_another_repository()
{
    if (options_.repository.empty()) return false;
    for (const auto& entry : config()->repositories) {
        if (entry.name == options_.repository ||
            plain_path(entry.url) == plain_path(options_.repository))
            return false;
    }
    return true;
}

/// From the configuration: the named group, or the only one.
void Environment::pick_group()
{
    if (group_ || config() == nullptr || names_another_repository()) return;
    const auto& groups = config()->groups;
    if (!options_.group.empty()) {
        if (const auto* found = config()->group(options_.group)) group_ = *found;
    } else if (groups.size() == 1) {
        group_ = groups.front();
    }
    if (group_) {
        group_configured_ = true;
        return;
    }
    if (!options_.repository.empty()) return;
    std::vector<std::string> names;
    for (const auto& group : groups)
        names.push_back(group.name);
    throw no_such_group(options_, names, config()->path);
}

const model::GroupSpec& Environment::group()
{
    pick_group();
    if (group_) return *group_;
    auto names = repository().groups();
    std::string name = options_.group;
    if (name.empty() && names.size() == 1) name = names.front();
    if (name.empty() || std::find(names.begin(), names.end(), name) == names.end()) {
        throw Error{Code::usage,
                    name.empty() ? "the repository holds several groups or none: " + joined(names)
                                 : "the repository holds no group " + name,
                    {.hint = fmt::format("name one of: {}; a mark to restore is named with --to",
                                         joined(names))}};
    }
    model::GroupSpec spec;
    spec.name = name;
    for (const auto& member : repository().members(name))
        spec.members.push_back(
            {.name = member, .url = {}, .data_dir = {}, .gid_pattern = "identical"});
    group_ = std::move(spec);
    return *group_;
}

bool Environment::configured()
{
    group();
    return group_configured_;
}

std::uint32_t Environment::workers(std::size_t at_once) const
{
    auto wanted = options_.jobs != 0 ? options_.jobs : std::thread::hardware_concurrency();
    return job::workers_each(wanted, at_once);
}

job::Context Environment::context()
{
    const auto& spec = group();
    return {.repository = repository(),
            .engine = [](const model::MemberSpec& member) -> engine::Engine& {
                return engine_for(member.url);
            },
            .group = spec,
            .progress = progress_,
            .clock = clock_,
            .stop = stop_.get_token(),
            .compression_level = repository_spec().compression_level,
            .workers = workers(spec.members.size()),
            .command = options_.command,
            .host = base::host_name()};
}

int Environment::done() const
{
    return static_cast<int>(progress_.warnings().empty() ? Code::ok : Code::warnings);
}

repo::RepositoryView Environment::view(const repo::ViewOptions& options)
{
    auto view = repo::load_view(repository().storage(), group().name, options);
    compare_heads();
    return view;
}

repo::RepositoryView Environment::recent_view()
{
    auto view = repo::load_recent(repository().storage(), group().name);
    compare_heads();
    return view;
}

/// With what this host saw before. That is read first: a mark that another process places between
/// the two must not look as if the repository had gone back.
void Environment::compare_heads()
{
    auto folder = state_folder();
    if (folder.empty()) return;
    std::optional<repo::Heads> known;
    std::string unknown;
    try {
        known = repo::HeadMemory(folder).recall(repository().head().id, group().name);
    } catch (const std::exception& error) {
        unknown = fmt::format(" ({})", error.what());
    }
    auto newest = [&](const std::string& prefix) {
        return repo::Sequence(repository().storage(), prefix).newest().value_or(0);
    };
    repo::Heads now{.mark = newest(repo::marks_prefix(group().name)),
                    .set = newest(repo::sets_prefix(group().name))};
    if (auto sentence = repo::went_back(known, now)) progress_.warn(*sentence);
    // Nobody can see a rollback without a memory outside (rules.md 35).
    if (!known && (now.mark != 0 || now.set != 0)) progress_.note(kNoMemory + unknown);
    remember(now.mark, now.set);
}

void Environment::remember(model::Number mark, model::Number set)
{
    auto folder = state_folder();
    if (folder.empty() || options_.plan) return; // a plan writes nothing at all
    try {
        repo::HeadMemory memory(folder);
        memory.remember(repository().head().id, group().name, {.mark = mark, .set = set});
        memory.remember_place(place_name(), repository().head().id);
    } catch (const std::exception& error) {
        base::log_debug("cannot remember the repository's newest mark: {}", error.what());
    }
}

} // namespace tidemark::app
