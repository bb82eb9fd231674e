#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace tidemark::base {

/// What went wrong, and at the same time the exit code of the program (docs/guide/exit-codes.md).
enum class Code : int {
    ok = 0,
    failed = 1,
    usage = 2,
    warnings = 3,
    not_restorable = 4,
    lease_held = 11,
    repository_unreachable = 13,
    repository_newer = 14,
    member_unreachable = 20,
    member_not_ready = 21,
    mark_not_placed = 22,
    log_gap = 23,
    identity_mismatch = 24,
    target_not_empty = 30,
    point_not_reachable = 31,
    out_of_space = 32,
    cancelled = 130,
    cannot_tell = 200, ///< only for the log helper that PostgreSQL calls
};

/// The code's name in JSON and in the guide, e.g. "log_gap".
std::string_view code_name(Code code);

/// The one exception type. `message` says what and where, `hint` the next step a person can take.
/// Context is added by each room that knows more (member, object, position), innermost first.
class Error : public std::exception {
public:
    struct Extra {
        std::string hint = {};
        bool transient = false; ///< a retry of the same call may succeed
    };

    Error(Code code, std::string message);
    Error(Code code, std::string message, Extra extra);

    Code code() const noexcept { return code_; }
    const std::string& message() const noexcept { return message_; }
    const std::string& hint() const noexcept { return extra_.hint; }
    const std::vector<std::string>& context() const noexcept { return context_; }
    bool transient() const noexcept { return extra_.transient; }
    const char* what() const noexcept override { return what_.c_str(); }

    /// Adds where it happened ("member orders"); outermost context is printed first.
    void add_context(std::string where);

private:
    void render();

    Code code_;
    std::string message_;
    Extra extra_;
    std::vector<std::string> context_;
    std::string what_;
};

/// Error of a failed system call, with strerror text. ENOSPC and EDQUOT become Code::out_of_space.
Error system_error(std::string_view doing, int errno_value, Code code = Code::failed);

/// Runs `body`; an Error that escapes gets `where` as context.
template <typename Body> decltype(auto) with_context(std::string_view where, Body&& body)
{
    try {
        return body();
    } catch (Error& error) {
        error.add_context(std::string(where));
        throw;
    }
}

} // namespace tidemark::base
