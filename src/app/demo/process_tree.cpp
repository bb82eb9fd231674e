#include "app/demo/process_tree.h"

#include "base/error.h"

#include <charconv>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>

namespace tidemark::app {

namespace {

struct ProcessState {
    char state = 'X'; ///< of proc(5): R, S, T, Z, X, ...
    pid_t parent = 0;
};

std::optional<ProcessState> state_of(pid_t pid)
{
    std::ifstream file{fmt::format("/proc/{}/stat", pid)};
    std::stringstream text;
    text << file.rdbuf();
    auto line = text.str();
    // The name in brackets may itself hold brackets and blanks.
    auto at = line.rfind(')');
    if (at == std::string::npos) return {};
    std::istringstream rest{line.substr(at + 1)};
    ProcessState state;
    if (!(rest >> state.state >> state.parent)) return {};
    return state;
}

template <typename Condition> bool wait_until(Condition condition)
{
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{30};
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
    return true;
}

/// A dead process that nobody reaps (a container without an init) counts as gone.
bool gone(pid_t pid)
{
    auto state = state_of(pid);
    return !state || state->state == 'Z' || state->state == 'X';
}

} // namespace

std::vector<pid_t> children_of(pid_t parent)
{
    std::vector<pid_t> children;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator{"/proc", error}) {
        auto name = entry.path().filename().string();
        pid_t pid = 0;
        auto [end, problem] = std::from_chars(name.data(), name.data() + name.size(), pid);
        if (problem != std::errc{} || end != name.data() + name.size()) continue;
        auto state = state_of(pid);
        if (state && state->parent == parent) children.push_back(pid);
    }
    return children;
}

void kill_with_children(pid_t parent)
{
    ::kill(parent, SIGSTOP);
    wait_until([&] {
        auto state = state_of(parent);
        return !state || state->state == 'T' || state->state == 'Z';
    });
    auto children = children_of(parent);
    ::kill(parent, SIGKILL);
    for (pid_t child : children)
        ::kill(child, SIGKILL);
    for (pid_t child : children) {
        if (!wait_until([&] { return gone(child); })) {
            throw base::Error{base::Code::failed,
                              fmt::format("process {} does not die of SIGKILL", child)};
        }
    }
}

} // namespace tidemark::app
