#include "cli/group_lab.h"

#include "app/demo/process_tree.h"
#include "base/error.h"
#include "base/process_state.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fmt/format.h>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sys/mount.h>
#include <thread>

namespace tidemark::support {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

GroupLab::GroupLab()
    : lab(2, {.settings = {{"max_slot_wal_keep_size", "4GB"}}}),
      repository(work_.path() / "repository"), config(work_.path() / "tidemark.toml"),
      tool(work_.path() / "scratch")
{
    bank.members = lab.bank_members();
    app::create_bank(bank);
}

ToolRun GroupLab::run(Tool::Arguments arguments) const
{
    arguments.insert(arguments.end(), {"--config", config.string()});
    return tool.run(arguments);
}

base::Process GroupLab::spawn(Tool::Arguments arguments) const
{
    arguments.insert(arguments.end(), {"--config", config.string()});
    return tool.spawn(arguments);
}

ToolRun GroupLab::init()
{
    Tool::Arguments arguments{"init"};
    for (const auto& member : bank.members)
        arguments.push_back(member.name + "=" + member.url);
    arguments.insert(arguments.end(), {"--repo", repository.string(), "--group", "shop"});
    return run(arguments);
}

ToolRun GroupLab::timed(const std::string& name, const Tool::Arguments& arguments)
{
    auto before = std::chrono::steady_clock::now();
    auto result = run(arguments);
    windows_[name] = {.first_sent = before, .last_returned = std::chrono::steady_clock::now()};
    return result;
}

ToolRun GroupLab::mark(const std::string& name)
{
    return timed(name, {"mark", "--name", name, "--json"});
}

base::Time GroupLab::moment(const std::string& name)
{
    auto before = std::chrono::steady_clock::now();
    auto now = base::SystemClock().now();
    windows_[name] = {.first_sent = before, .last_returned = std::chrono::steady_clock::now()};
    return now;
}

ToolRun GroupLab::backup(const std::string& name)
{
    return timed(name, {"backup", "--name", name, "--json"});
}

ToolRun GroupLab::restore(Tool::Arguments arguments, const std::string& dir) const
{
    arguments.insert(arguments.begin(), "restore");
    arguments.insert(arguments.end(), {"--dir", target(dir).string(), "--json", "--start"});
    return run(arguments);
}

app::BankOptions GroupLab::restored_bank(const ToolRun& run) const
{
    auto restored = bank;
    auto document = run.json();
    for (const auto& member : document.at("report").at("members")) {
        for (auto& one : restored.members) {
            if (one.name != member.at("name").get<std::string>()) continue;
            one.url = fmt::format("host={} port={} user=postgres dbname=postgres",
                                  member.at("socket_dir").get<std::string>(),
                                  member.at("port").get<int>());
        }
    }
    return restored;
}

app::BankVerdict GroupLab::check(const ToolRun& run, const std::string& mark) const
{
    return check(restored_bank(run), mark);
}

app::BankVerdict GroupLab::check(const app::BankOptions& restored, const std::string& mark) const
{
    return app::check_bank(restored, witness, windows_.at(mark));
}

void GroupLab::commits(const app::Bank& load, std::uint64_t more) const
{
    auto wanted = load.stats().committed + more;
    auto deadline = std::chrono::steady_clock::now() + 60s;
    while (load.stats().committed < wanted) {
        if (std::chrono::steady_clock::now() > deadline)
            throw base::Error{base::Code::failed,
                              "the load stands still: " + load.stats().last_error};
        std::this_thread::sleep_for(5ms);
    }
}

SmallDisk::SmallDisk(fs::path path, const std::string& options) : path_(std::move(path))
{
    fs::create_directories(path_);
    mounted_ = ::mount("tmpfs", path_.c_str(), "tmpfs", 0, options.c_str()) == 0;
}

SmallDisk::~SmallDisk()
{
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
}

void SmallDisk::read_only() const
{
    ::mount(nullptr, path_.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr);
}

void SmallDisk::no_programs() const
{
    ::mount(nullptr, path_.c_str(), nullptr, MS_REMOUNT | MS_NOEXEC, nullptr);
}

void SmallDisk::change(const std::string& options) const
{
    ::mount(nullptr, path_.c_str(), nullptr, MS_REMOUNT, options.c_str());
}

Frozen::Frozen(const app::LabCluster& cluster)
{
    std::ifstream file(cluster.data_dir() / "postmaster.pid");
    pid_t postmaster = 0;
    if (!(file >> postmaster)) throw base::Error{base::Code::failed, "no server to freeze"};
    processes_.push_back(postmaster);
    ::kill(postmaster, SIGSTOP);
    for (pid_t child : app::children_of(postmaster))
        processes_.push_back(child);
    for (pid_t pid : processes_)
        ::kill(pid, SIGSTOP);
}

void Frozen::thaw()
{
    for (pid_t pid : processes_)
        ::kill(pid, SIGCONT);
    processes_.clear();
}

bool has_amcheck(const app::LabCluster& cluster)
{
    const auto& server = cluster.install();
    return server.major >= 14 && fs::exists(server.bin / "pg_amcheck");
}

int drill_passed(const app::LabCluster& cluster)
{
    return has_amcheck(cluster) ? 0 : 3;
}

bool eventually(const std::function<bool()>& condition)
{
    auto deadline = std::chrono::steady_clock::now() + 30s;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        std::this_thread::sleep_for(1ms);
    }
    return true;
}

std::map<std::string, std::uintmax_t> listing(const fs::path& folder)
{
    std::map<std::string, std::uintmax_t> all;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
        std::error_code gone; // what others remove meanwhile
        bool file = entry.is_regular_file(gone);
        all.emplace(entry.path().lexically_relative(folder).string(),
                    file ? entry.file_size(gone) : 0);
    }
    return all;
}

namespace {

std::optional<pid_t> running_server(const fs::path& data_dir)
{
    std::ifstream file(data_dir / "postmaster.pid");
    pid_t pid = 0;
    if (!(file >> pid) || pid <= 1 || !base::process_runs(pid)) return std::nullopt;
    return pid;
}

} // namespace

bool server_runs(const fs::path& data_dir)
{
    return running_server(data_dir).has_value();
}

bool any_server_runs(const fs::path& dir)
{
    if (!fs::exists(dir)) return false;
    return std::any_of(fs::directory_iterator(dir), fs::directory_iterator{},
                       [](const auto& entry) { return server_runs(entry.path() / "data"); });
}

std::vector<std::string> processes_of_drills(const fs::path& folder)
{
    auto prefix = (fs::canonical(folder) / "tidemark-drill-").string();
    std::vector<std::string> found;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator("/proc", error)) {
        auto place = fs::read_symlink(entry.path() / "cwd", error);
        if (!error && place.string().starts_with(prefix))
            found.push_back(entry.path().filename().string() + " in " + place.string());
    }
    return found;
}

void stop_restored(const fs::path& dir)
{
    if (!fs::exists(dir)) return;
    for (const auto& entry : fs::directory_iterator(dir)) {
        auto pid = running_server(entry.path() / "data");
        if (!pid) continue;
        ::kill(*pid, SIGQUIT);
        for (int i = 0; i < 500 && base::process_runs(*pid); ++i)
            std::this_thread::sleep_for(10ms);
    }
}

} // namespace tidemark::support
