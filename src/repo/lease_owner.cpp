#include "repo/lease.h"

#include "base/error.h"
#include "base/fd.h"
#include "base/process_state.h"

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
    if (auto process = base::process_state(static_cast<pid_t>(out.pid)))
        out.pid_start = process->start;
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
    if (!base::process_state(::getpid())) return OwnerState::cannot_tell;
    auto process = base::process_state(static_cast<pid_t>(owner.pid));
    if (!process) {
        // Other users' processes may be hidden (hidepid, systemd's ProtectProc), but not from kill.
        bool there = ::kill(static_cast<pid_t>(owner.pid), 0) == 0 || errno == EPERM;
        return there ? OwnerState::cannot_tell : OwnerState::dead;
    }
    if (process->start != owner.pid_start) return OwnerState::dead;
    return process->ended() ? OwnerState::dead : OwnerState::alive;
}

} // namespace tidemark::repo
