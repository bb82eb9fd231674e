#include "app/demo/process_tree.h"

#include "base/error.h"
#include "base/process_state.h"

#include <charconv>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fmt/format.h>
#include <system_error>
#include <thread>

namespace tidemark::app {

namespace {

template <typename Condition> bool wait_until(Condition condition)
{
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{30};
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
    return true;
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
        auto state = base::process_state(pid);
        if (state && state->parent == parent) children.push_back(pid);
    }
    return children;
}

void kill_with_children(pid_t parent)
{
    ::kill(parent, SIGSTOP);
    wait_until([&] {
        auto state = base::process_state(parent);
        return !state || state->state == 'T' || state->ended();
    });
    auto children = children_of(parent);
    ::kill(parent, SIGKILL);
    for (pid_t child : children)
        ::kill(child, SIGKILL);
    for (pid_t child : children) {
        if (!wait_until([&] { return !base::process_runs(child); })) {
            throw base::Error{base::Code::failed,
                              fmt::format("process {} does not die of SIGKILL", child)};
        }
    }
}

} // namespace tidemark::app
