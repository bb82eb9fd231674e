#include "base/process_state.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/fd.h"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <fmt/format.h>
#include <string_view>

namespace tidemark::base {

namespace {

template <typename Number> bool parse(std::string_view text, Number& out)
{
    const char* begin = text.data();
    const char* end = begin + text.size();
    auto [at, error] = std::from_chars(begin, end, out);
    return error == std::errc{} && at == end;
}

std::optional<ProcessState> parse_stat(std::string_view stat)
{
    // The name in field 2 may itself hold blanks and brackets.
    auto bracket = stat.rfind(')');
    if (bracket == std::string_view::npos || bracket + 2 >= stat.size()) return std::nullopt;
    std::string_view rest = stat.substr(bracket + 2);
    ProcessState out;
    out.state = rest.front();
    for (int field = 3; field < 22; ++field) {
        auto blank = rest.find(' ');
        if (blank == std::string_view::npos) return std::nullopt;
        rest.remove_prefix(blank + 1);
        if (field == 3 && !parse(rest.substr(0, rest.find(' ')), out.parent)) return std::nullopt;
    }
    if (!parse(rest.substr(0, rest.find(' ')), out.start)) return std::nullopt;
    return out;
}

} // namespace

std::optional<ProcessState> process_state(pid_t pid)
{
    try {
        auto bytes = read_file(fmt::format("/proc/{}/stat", pid), 4096);
        return parse_stat(as_text(bytes));
    } catch (const Error&) {
        return std::nullopt;
    }
}

bool process_runs(pid_t pid)
{
    // Other users' processes may be hidden (hidepid, systemd's ProtectProc), but not from kill.
    if (::kill(pid, 0) != 0 && errno == ESRCH) return false;
    auto state = process_state(pid);
    return !state || !state->ended();
}

} // namespace tidemark::base
