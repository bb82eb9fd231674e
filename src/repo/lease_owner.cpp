#include "repo/lease.h"

#include "base/error.h"
#include "base/fd.h"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <limits>
#include <string_view>
#include <unistd.h>

namespace tidemark::repo {

namespace {

/// Empty when the file cannot be read, as on machines without /proc.
std::string small_file(const std::string& path)
{
    try {
        auto bytes = base::read_file(path, 4096);
        std::string text(base::as_text(bytes));
        while (!text.empty() && text.back() == '\n')
            text.pop_back();
        return text;
    } catch (const base::Error&) {
        return {};
    }
}

struct ProcessState {
    char state = '?';
    std::uint64_t start = 0;
};

/// Fields 3 and 22 of /proc/PID/stat (proc(5)); the name in field 2 may hold blanks and brackets.
std::optional<ProcessState> read_process(std::int64_t pid)
{
    std::string stat = small_file(fmt::format("/proc/{}/stat", pid));
    auto bracket = stat.rfind(')');
    if (bracket == std::string::npos || bracket + 2 >= stat.size()) return std::nullopt;
    std::string_view rest = std::string_view(stat).substr(bracket + 2);
    ProcessState out;
    out.state = rest.front();
    for (int field = 3; field < 22; ++field) {
        auto blank = rest.find(' ');
        if (blank == std::string_view::npos) return std::nullopt;
        rest.remove_prefix(blank + 1);
    }
    rest = rest.substr(0, rest.find(' '));
    const char* end = rest.data() + rest.size();
    auto [at, error] = std::from_chars(rest.data(), end, out.start);
    if (error != std::errc{} || at != end) return std::nullopt;
    return out;
}

std::string this_boot()
{
    return small_file("/proc/sys/kernel/random/boot_id");
}

std::string this_pid_namespace()
{
    std::error_code error;
    return std::filesystem::read_symlink("/proc/self/ns/pid", error).string();
}

} // namespace

LeaseOwner LeaseOwner::this_process(std::string command)
{
    LeaseOwner out;
    char host[256] = {};
    if (::gethostname(host, sizeof host - 1) == 0) out.host = host;
    out.boot = this_boot();
    out.pid_namespace = this_pid_namespace();
    out.pid = ::getpid();
    if (auto process = read_process(out.pid)) out.pid_start = process->start;
    out.command = std::move(command);
    return out;
}

OwnerState probe_owner(const LeaseOwner& owner)
{
    if (owner.boot.empty() || owner.pid_namespace.empty() || owner.pid_start == 0 ||
        owner.pid <= 0 || owner.pid > std::numeric_limits<pid_t>::max())
        return OwnerState::cannot_tell;
    if (owner.boot != this_boot() || owner.pid_namespace != this_pid_namespace())
        return OwnerState::cannot_tell;
    // /proc must be the one of our namespace, or a missing entry would mean nothing.
    if (!read_process(::getpid())) return OwnerState::cannot_tell;
    auto process = read_process(owner.pid);
    if (!process) {
        // Other users' processes may be hidden (hidepid, systemd's ProtectProc), but not from kill.
        bool there = ::kill(static_cast<pid_t>(owner.pid), 0) == 0 || errno == EPERM;
        return there ? OwnerState::cannot_tell : OwnerState::dead;
    }
    if (process->start != owner.pid_start) return OwnerState::dead;
    bool gone = process->state == 'Z' || process->state == 'X';
    return gone ? OwnerState::dead : OwnerState::alive;
}

} // namespace tidemark::repo
