#include "app/demo/lab_cluster.h"

#include "app/demo/process_tree.h"
#include "base/check.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/random.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace tidemark::app {

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr base::Duration kStartPatience = 60s;
constexpr base::Duration kStopPatience = 60s;
constexpr std::size_t kLongestSocketFolder = 80; // of 107, less "/.s.PGSQL.65535.lock"

int free_port()
{
    base::Fd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (!fd || ::bind(fd.get(), generic, size) != 0 ||
        ::getsockname(fd.get(), generic, &size) != 0) {
        throw base::system_error("cannot find a free port on 127.0.0.1", errno);
    }
    return ntohs(address.sin_port);
}

std::string random_password()
{
    return base::random_hex(16);
}

/// Lines of postmaster.pid (src/include/utils/pidfile.h): 1 pid, 2 data directory, 3 start time,
/// 4 port, 5 socket folder, 6 listen address, 7 shared memory key and id, 8 status.
std::string pid_file_line(const fs::path& data, int wanted)
{
    std::string text;
    try {
        text = std::string(base::as_text(base::read_file(data / "postmaster.pid", 4096)));
    } catch (const base::Error&) {
        return {}; // not there yet, or not any more
    }
    std::size_t from = 0;
    for (int line = 1; from < text.size(); ++line) {
        auto end = std::min(text.find('\n', from), text.size());
        if (line == wanted) return text.substr(from, end - from);
        from = end + 1;
    }
    return {};
}

std::string quoted(const std::string& value)
{
    std::string out = "'";
    for (char c : value) {
        if (c == '\'' || c == '\\') out += c;
        out += c;
    }
    return out + "'";
}

void append(const fs::path& path, const std::string& text)
{
    base::Fd fd = base::open_file(path, O_WRONLY | O_APPEND);
    base::write_full(fd.get(), base::as_bytes(text), path.string());
}

} // namespace

LabCluster::LabCluster(LabClusterOptions options)
    : options_(std::move(options)), user_(lab_user()), home_(options_.folder / options_.name)
{
    if (!options_.install) options_.install = find_postgres();
    if (::mkdir(home_.c_str(), 0700) != 0) {
        throw base::system_error(fmt::format("cannot make the folder {}", home_.string()), errno);
    }
    give_to_lab_user(home_);
    choose_socket_dir();
    if (options_.tcp) {
        port_ = free_port();
        password_ = random_password();
    }
    base::with_context("throwaway cluster " + options_.name, [&] {
        run_initdb();
        auto settings = base_settings();
        for (const auto& [name, value] : options_.settings)
            settings[name] = value;
        write_settings(settings);
    });
}

LabCluster::~LabCluster()
{
    try {
        kill9();
        forget_shared_memory();
    } catch (const std::exception&) {
        // The process object still kills the postmaster.
    }
    std::error_code ignored;
    if (socket_dir_.parent_path() != home_) fs::remove_all(socket_dir_, ignored);
}

void LabCluster::choose_socket_dir()
{
    socket_dir_ = home_ / "socket";
    if (socket_dir_.string().size() > kLongestSocketFolder) {
        std::string name = "/tmp/tidemark-XXXXXX";
        if (::mkdtemp(name.data()) == nullptr) {
            throw base::system_error("cannot make a folder in /tmp", errno);
        }
        socket_dir_ = name;
    } else if (::mkdir(socket_dir_.c_str(), 0700) != 0) {
        throw base::system_error(fmt::format("cannot make {}", socket_dir_.string()), errno);
    }
    give_to_lab_user(socket_dir_);
}

base::ProcessOptions LabCluster::process_options() const
{
    // Nothing of the caller's environment: PGHOST or PGDATA would lead to somebody else's server.
    auto environment = library_path(options_.install->bin);
    environment["PATH"] = "/usr/bin:/bin";
    environment["LC_ALL"] = "C";
    environment["TZ"] = "UTC";
    return {.user = user_,
            .directory = home_,
            .environment = environment,
            .clean_environment = true,
            .new_session = true};
}

void LabCluster::run_initdb()
{
    int major = options_.install->major;
    std::vector<std::string> argv = {(options_.install->bin / "initdb").string(),
                                     "--pgdata=" + data_dir().string(),
                                     "--username=postgres",
                                     "--encoding=UTF8",
                                     "--locale=C",
                                     "--auth-local=trust",
                                     "--no-sync"};
    if (options_.checksums) argv.emplace_back("--data-checksums");
    if (!options_.checksums && major >= 18) argv.emplace_back("--no-data-checksums");
    if (options_.wal_segment_mb) {
        argv.push_back(fmt::format("--wal-segsize={}", *options_.wal_segment_mb));
    }
    fs::path password_file = home_ / "password";
    if (options_.tcp) {
        base::replace_file(password_file, base::as_bytes(password_ + "\n"));
        give_to_lab_user(password_file);
        argv.emplace_back("--auth-host=scram-sha-256");
        argv.push_back("--pwfile=" + password_file.string());
    } else {
        argv.emplace_back("--auth-host=reject");
    }
    auto result = base::run(argv, {.process = process_options(), .deadline = 120s});
    std::error_code ignored;
    fs::remove(password_file, ignored);
    if (!result.exit.success()) {
        throw base::Error{base::Code::failed,
                          fmt::format("initdb failed: {}\n{}", result.exit.describe(), result.err),
                          {.hint = user_ ? fmt::format("user {} must be able to reach {}",
                                                       user_->name, home_.string())
                                         : std::string()}};
    }
}

std::map<std::string, std::string> LabCluster::base_settings() const
{
    return {{"listen_addresses", options_.tcp ? "127.0.0.1" : ""},
            {"port", std::to_string(port_)},
            {"unix_socket_directories", socket_dir_.string()},
            {"unix_socket_permissions", "0700"},
            {"cluster_name", "tidemark-lab-" + options_.name},
            {"wal_level", "replica"},
            {"max_prepared_transactions", "200"},
            {"max_connections", "100"},
            {"max_wal_senders", "10"},
            {"max_replication_slots", "10"},
            {"max_slot_wal_keep_size", "2GB"},
            {"max_wal_size", "512MB"},
            {"shared_buffers", "32MB"},
            {"huge_pages", "off"},
            // Leaves nothing in /dev/shm after a SIGKILL.
            {"dynamic_shared_memory_type", "mmap"},
            {"fsync", options_.fsync ? "on" : "off"},
            {"timezone", "UTC"},
            {"log_timezone", "UTC"},
            {"lc_messages", "C"},
            {"jit", "off"}};
}

void LabCluster::write_settings(const std::map<std::string, std::string>& settings) const
{
    std::string text;
    for (const auto& [name, value] : settings)
        text += fmt::format("{} = {}\n", name, quoted(value));
    append(data_dir() / "postgresql.conf", text);
}

void LabCluster::configure(const std::map<std::string, std::string>& settings)
{
    write_settings(settings);
}

bool LabCluster::ready() const
{
    auto status = pid_file_line(data_dir(), 8);
    if (!status.starts_with("ready") && !status.starts_with("standby")) return false;
    return pid_file_line(data_dir(), 1) == std::to_string(server_->pid());
}

void LabCluster::start()
{
    CHECK(!running());
    auto options = process_options();
    options.out = {.to = base::Output::To::file, .path = log_file()};
    options.err = options.out;
    server_ = base::Process::spawn(
        {(options_.install->bin / "postgres").string(), "-D", data_dir().string()}, options);
    start_keeper();
    auto deadline = std::chrono::steady_clock::now() + kStartPatience;
    while (!ready()) {
        if (server_->wait_for(10ms)) {
            server_.reset();
            throw base::Error{base::Code::failed,
                              fmt::format("the server of throwaway cluster {} does not start:\n{}",
                                          options_.name, last_words())};
        }
        if (std::chrono::steady_clock::now() > deadline) {
            kill9();
            throw base::Error{
                base::Code::failed,
                fmt::format("the server of throwaway cluster {} is not ready in time:\n{}",
                            options_.name, last_words())};
        }
    }
}

void LabCluster::start_keeper()
{
    // Polls once a second whether we are alive; the pid file tells a reused pid from our server.
    const char* script = "tail --pid=$0 -f /dev/null\n"
                         "[ \"$(head -n 1 \"$2\" 2>/dev/null)\" = \"$1\" ] && kill -QUIT \"$1\"";
    auto options = process_options();
    options.out = {.to = base::Output::To::nowhere};
    options.err = {.to = base::Output::To::nowhere};
    keeper_ = base::Process::spawn({"/bin/sh", "-c", script, std::to_string(::getpid()),
                                    std::to_string(server_->pid()),
                                    (data_dir() / "postmaster.pid").string()},
                                   options);
}

bool LabCluster::running()
{
    return server_ && server_->running();
}

void LabCluster::wait_for_end(base::Duration patience)
{
    keeper_.reset();
    bool ended = server_->wait_for(patience).has_value();
    if (!ended) {
        kill9();
        throw base::Error{
            base::Code::failed,
            fmt::format("the server of throwaway cluster {} did not stop in time:\n{}",
                        options_.name, last_words())};
    }
    server_.reset();
}

void LabCluster::stop()
{
    if (!running()) return;
    // To the postmaster alone: for backends the same signal means something else.
    ::kill(server_->pid(), SIGINT);
    wait_for_end(kStopPatience);
}

void LabCluster::restart()
{
    stop();
    start();
}

void LabCluster::kill9()
{
    keeper_.reset();
    if (!running()) {
        server_.reset();
        return;
    }
    kill_with_children(server_->pid());
    server_->wait();
    server_.reset();
}

void LabCluster::destroy()
{
    kill9();
    forget_shared_memory();
    std::error_code error;
    fs::remove_all(home_, error);
    if (error) {
        throw base::system_error(fmt::format("cannot remove {}", home_.string()), error.value());
    }
    if (socket_dir_.parent_path() != home_) fs::remove_all(socket_dir_, error);
}

void LabCluster::forget_shared_memory() const
{
    // A killed postmaster leaves its small System V segment behind; only its next start or we know.
    auto line = pid_file_line(data_dir(), 7);
    auto begin = line.find_last_of(' ');
    int id = 0;
    if (begin == std::string::npos) return;
    auto [end, error] = std::from_chars(line.data() + begin + 1, line.data() + line.size(), id);
    if (error == std::errc{} && end == line.data() + line.size()) ::shmctl(id, IPC_RMID, nullptr);
}

void LabCluster::reload()
{
    CHECK(running());
    ::kill(server_->pid(), SIGHUP);
}

std::string LabCluster::conninfo(const std::string& database) const
{
    return fmt::format("host={} port={} user=postgres dbname={}", socket_dir_.string(), port_,
                       database);
}

std::string LabCluster::url(const std::string& database) const
{
    return fmt::format("postgresql:///{}?host={}&port={}&user=postgres", database,
                       socket_dir_.string(), port_);
}

std::string LabCluster::tcp_conninfo(const std::string& database, const std::string& password) const
{
    CHECK(options_.tcp);
    return fmt::format("host=127.0.0.1 port={} user=postgres password={} dbname={}", port_,
                       password, database);
}

std::string LabCluster::last_words(std::size_t bytes) const
{
    try {
        base::Fd fd = base::open_read(log_file());
        auto size = base::file_size(fd.get(), "server log");
        base::Bytes tail(std::min<std::uint64_t>(size, bytes));
        tail.resize(base::pread_full(fd.get(), tail, size - tail.size(), "server log"));
        return std::string(base::as_text(tail));
    } catch (const base::Error&) {
        return {};
    }
}

} // namespace tidemark::app
