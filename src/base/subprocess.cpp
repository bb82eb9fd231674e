#include "base/subprocess.h"

#include "base/check.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

extern char** environ;

namespace tidemark::base {

namespace {

constexpr unsigned kCloseRangeCloexec = 1U << 2; // CLOSE_RANGE_CLOEXEC, linux/close_range.h

/// What the child does between fork and exec, prepared before the fork: other threads may hold
/// the allocator's lock at that moment, so the child only makes system calls.
struct Plan {
    const char* program = nullptr;
    char* const* argv = nullptr;
    char* const* environment = nullptr;
    const char* directory = nullptr;
    const User* user = nullptr;
    int in = -1;
    int out = -1;
    int err = -1;
    int report = -1;
    bool new_session = false;
};

/// What the child could not do; sent to the parent through a pipe that exec closes.
struct Failure {
    int step = 0;
    int error = 0;
};

constexpr std::array kSteps = {"start", "set up the streams of", "change the user of",
                               "enter the working directory of", "execute"};

[[noreturn]] void give_up(const Plan& plan, int step)
{
    Failure failure{step, errno};
    [[maybe_unused]] auto sent = ::write(plan.report, &failure, sizeof failure);
    ::_exit(127);
}

/// The raw calls: glibc's wrappers would try to reach the parent's other threads.
bool become(const User& user)
{
    if (::syscall(SYS_getuid) == user.uid && ::syscall(SYS_geteuid) == user.uid) return true;
    return ::syscall(SYS_setgroups, user.groups.size(), user.groups.data()) == 0 &&
           ::syscall(SYS_setresgid, user.gid, user.gid, user.gid) == 0 &&
           ::syscall(SYS_setresuid, user.uid, user.uid, user.uid) == 0;
}

void reset_signals()
{
    struct sigaction fresh = {};
    fresh.sa_handler = SIG_DFL;
    for (int number = 1; number < 32; ++number)
        ::sigaction(number, &fresh, nullptr);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void child(const Plan& plan)
{
    if (plan.new_session && ::setsid() < 0) give_up(plan, 0);
    reset_signals();
    // Descriptors 0 to 2 may themselves be sources when our own streams were closed; the parent
    // made sure that all of these are above 2.
    if (::dup2(plan.in, 0) < 0 || ::dup2(plan.out, 1) < 0 || ::dup2(plan.err, 2) < 0)
        give_up(plan, 1);
    ::syscall(SYS_close_range, 3U, ~0U, kCloseRangeCloexec);
    if (plan.user != nullptr && !become(*plan.user)) give_up(plan, 2);
    if (plan.directory != nullptr && ::chdir(plan.directory) != 0) give_up(plan, 3);
    ::execve(plan.program, plan.argv, plan.environment);
    give_up(plan, 4);
}

/// The same file under a number above 2.
Fd above_streams(Fd fd)
{
    if (fd.get() > 2) return fd;
    Fd moved{::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3)};
    if (!moved) throw system_error("cannot duplicate a descriptor", errno);
    return moved;
}

Fd memory_file(const char* name)
{
    Fd fd{::memfd_create(name, MFD_CLOEXEC)};
    if (!fd) throw system_error("cannot create a memory file", errno);
    return above_streams(std::move(fd));
}

Fd duplicate(int fd)
{
    Fd copy{::fcntl(fd, F_DUPFD_CLOEXEC, 3)};
    // A closed stream of ours becomes /dev/null for the child.
    return copy ? std::move(copy) : above_streams(open_file("/dev/null", O_RDWR));
}

Fd open_input(const std::string& input)
{
    if (input.empty()) return above_streams(open_file("/dev/null", O_RDONLY));
    Fd fd = memory_file("stdin");
    pwrite_full(fd.get(), as_bytes(input), 0, "the input of a program");
    return fd;
}

/// Captured output goes to a memory file and not through a pipe: nobody has to drain it, and a
/// daemon that the program leaves behind (pg_ctl start) does not keep us waiting for its end.
Fd open_output(const Output& output, int inherited)
{
    switch (output.to) {
    case Output::To::capture:
        return memory_file("output");
    case Output::To::inherit:
        return duplicate(inherited);
    case Output::To::nowhere:
        return above_streams(open_file("/dev/null", O_WRONLY));
    case Output::To::file:
        return above_streams(open_file(output.path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW));
    }
    CHECK(false);
    return {};
}

std::vector<std::string> make_environment(const ProcessOptions& options)
{
    std::vector<std::string> out;
    for (char** at = environ; !options.clean_environment && *at != nullptr; ++at) {
        std::string_view entry{*at};
        if (!options.environment.contains(std::string(entry.substr(0, entry.find('='))))) {
            out.emplace_back(entry);
        }
    }
    for (const auto& [name, value] : options.environment)
        out.push_back(name + "=" + value);
    return out;
}

std::vector<char*> pointers(const std::vector<std::string>& texts)
{
    std::vector<char*> out;
    for (const auto& text : texts)
        out.push_back(const_cast<char*>(text.c_str()));
    out.push_back(nullptr);
    return out;
}

std::string find_program(const std::string& name, const std::vector<std::string>& environment)
{
    if (name.find('/') != std::string::npos) return name;
    std::string_view path = "/usr/local/bin:/usr/bin:/bin";
    for (const auto& entry : environment) {
        if (entry.starts_with("PATH=")) path = std::string_view(entry).substr(5);
    }
    while (!path.empty()) {
        auto folder = path.substr(0, path.find(':'));
        path.remove_prefix(std::min(path.size(), folder.size() + 1));
        std::string candidate = fmt::format("{}/{}", folder, name);
        if (!folder.empty() && ::access(candidate.c_str(), X_OK) == 0) return candidate;
    }
    throw Error{Code::failed, fmt::format("cannot find the program {} in PATH", name)};
}

} // namespace

User lookup_user(const std::string& name)
{
    std::vector<char> buffer(16384);
    passwd entry = {};
    passwd* found = nullptr;
    int error = 0;
    while ((error = ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found)) ==
           ERANGE) {
        buffer.resize(buffer.size() * 2);
    }
    if (found == nullptr) {
        throw Error{Code::usage,
                    fmt::format("there is no user {} on this machine", name),
                    {.hint = error != 0 ? std::strerror(error) : "name an existing user"}};
    }
    User user{name, entry.pw_uid, entry.pw_gid, {}, entry.pw_dir};
    int count = 32;
    user.groups.resize(32);
    while (::getgrouplist(name.c_str(), user.gid, user.groups.data(), &count) < 0) {
        user.groups.resize(static_cast<std::size_t>(count));
    }
    user.groups.resize(static_cast<std::size_t>(count));
    return user;
}

std::string Exit::describe() const
{
    if (timed_out) return "killed at its deadline";
    if (signal != 0) return fmt::format("killed by signal {} ({})", signal, ::strsignal(signal));
    return fmt::format("exit code {}", code);
}

Process Process::spawn(const std::vector<std::string>& argv, const ProcessOptions& options)
{
    CHECK(!argv.empty());
    auto environment = make_environment(options);
    std::string program = find_program(argv.front(), environment);
    auto argument_pointers = pointers(argv);
    auto environment_pointers = pointers(environment);
    Fd in = open_input(options.input);
    Process process;
    process.group_ = options.new_session;
    process.out_ = open_output(options.out, 1);
    process.err_ = open_output(options.err, 2);
    std::array<int, 2> ends = {};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw system_error("cannot create a pipe", errno);
    Fd listen{ends[0]};
    Fd report = above_streams(Fd{ends[1]});
    Plan plan{program.c_str(),
              argument_pointers.data(),
              environment_pointers.data(),
              options.directory.empty() ? nullptr : options.directory.c_str(),
              options.user ? &*options.user : nullptr,
              in.get(),
              process.out_.get(),
              process.err_.get(),
              report.get(),
              options.new_session};

    process.pid_ = ::fork();
    if (process.pid_ < 0) throw system_error("cannot start " + program, errno);
    if (process.pid_ == 0) child(plan);
    report.reset();

    Failure failure;
    auto into = std::as_writable_bytes(std::span(&failure, 1));
    if (read_full(listen.get(), into, "the start of " + program) == sizeof failure) {
        process.wait();
        auto doing =
            fmt::format("cannot {} {}", kSteps.at(static_cast<std::size_t>(failure.step)), program);
        throw system_error(doing, failure.error);
    }
    if (options.out.to != Output::To::capture) process.out_.reset();
    if (options.err.to != Output::To::capture) process.err_.reset();
    return process;
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), group_(other.group_), out_(std::move(other.out_)),
      err_(std::move(other.err_)), exit_(std::exchange(other.exit_, std::nullopt))
{
}

Process& Process::operator=(Process&& other) noexcept
{
    if (this != &other) {
        end();
        pid_ = std::exchange(other.pid_, -1);
        group_ = other.group_;
        out_ = std::move(other.out_);
        err_ = std::move(other.err_);
        exit_ = std::exchange(other.exit_, std::nullopt);
    }
    return *this;
}

Process::~Process()
{
    end();
}

void Process::end() noexcept
{
    if (pid_ < 0 || exit_) return;
    ::kill(group_ ? -pid_ : pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
}

void Process::release()
{
    pid_ = -1;
}

void Process::kill(int signal)
{
    if (pid_ < 0 || exit_) return;
    ::kill(group_ ? -pid_ : pid_, signal);
}

bool Process::running()
{
    return !wait_for(Duration{0});
}

Exit Process::wait()
{
    while (true) {
        if (auto exit = wait_for(std::chrono::hours{1})) return *exit;
    }
}

void Process::reap()
{
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0) {
        if (errno != EINTR) throw system_error("cannot wait for a program", errno);
    }
    exit_.emplace();
    if (WIFSIGNALED(status)) {
        exit_->signal = WTERMSIG(status);
    } else {
        exit_->code = WEXITSTATUS(status);
    }
}

std::optional<Exit> Process::wait_for(Duration patience, std::stop_token stop)
{
    using std::chrono::milliseconds;
    if (exit_) return exit_;
    CHECK(pid_ > 0);
    // The child is ours and not reaped, so its number cannot belong to another process yet.
    Fd ended{static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0))};
    if (!ended) throw system_error("cannot watch a program", errno);
    Fd stopped{::eventfd(0, EFD_CLOEXEC)};
    if (!stopped) throw system_error("cannot create an event", errno);
    std::stop_callback on_stop{std::move(stop), [&] { ::eventfd_write(stopped.get(), 1); }};
    auto deadline = std::chrono::steady_clock::now() + patience;
    while (true) {
        auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
        left = std::clamp(left, milliseconds{0}, milliseconds{3'600'000});
        std::array<pollfd, 2> events = {pollfd{ended.get(), POLLIN, 0},
                                        pollfd{stopped.get(), POLLIN, 0}};
        int count = ::poll(events.data(), events.size(), static_cast<int>(left.count()));
        if (count < 0 && errno != EINTR) throw system_error("cannot wait for a program", errno);
        if (count > 0 && events[0].revents != 0) {
            reap();
            return exit_;
        }
        if (count > 0 || std::chrono::steady_clock::now() >= deadline) return std::nullopt;
    }
}

namespace {

std::string captured(const Fd& fd, std::size_t limit)
{
    if (!fd) return {};
    std::string text(std::min<std::uint64_t>(file_size(fd.get(), "output"), limit), '\0');
    auto into = std::as_writable_bytes(std::span(text.data(), text.size()));
    text.resize(pread_full(fd.get(), into, 0, "output"));
    return text;
}

} // namespace

std::string Process::out(std::size_t limit) const
{
    return captured(out_, limit);
}
std::string Process::err(std::size_t limit) const
{
    return captured(err_, limit);
}

RunResult run(const std::vector<std::string>& argv, const RunOptions& options)
{
    auto process = Process::spawn(argv, options.process);
    auto patience = options.deadline.value_or(std::chrono::hours{24 * 365});
    auto exit = process.wait_for(patience, options.stop);
    if (!exit) {
        process.kill(SIGKILL);
        exit = process.wait();
        if (options.stop.stop_requested()) {
            throw Error{Code::cancelled, fmt::format("{} was stopped", argv.front())};
        }
        exit->timed_out = true;
    }
    return {*exit, process.out(), process.err()};
}

} // namespace tidemark::base
