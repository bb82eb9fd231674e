#include "base/error.h"

#include <cerrno>
#include <cstring>
#include <utility>

namespace tidemark::base {

std::string_view code_name(Code code)
{
    switch (code) {
    case Code::ok:
        return "ok";
    case Code::failed:
        return "failed";
    case Code::usage:
        return "usage";
    case Code::warnings:
        return "warnings";
    case Code::not_restorable:
        return "not_restorable";
    case Code::lease_held:
        return "lease_held";
    case Code::repository_unreachable:
        return "repository_unreachable";
    case Code::repository_newer:
        return "repository_newer";
    case Code::member_unreachable:
        return "member_unreachable";
    case Code::member_not_ready:
        return "member_not_ready";
    case Code::mark_not_placed:
        return "mark_not_placed";
    case Code::log_gap:
        return "log_gap";
    case Code::identity_mismatch:
        return "identity_mismatch";
    case Code::target_not_empty:
        return "target_not_empty";
    case Code::point_not_reachable:
        return "point_not_reachable";
    case Code::out_of_space:
        return "out_of_space";
    case Code::cancelled:
        return "cancelled";
    case Code::cannot_tell:
        return "cannot_tell";
    }
    return "failed";
}

Error::Error(Code code, std::string message) : Error(code, std::move(message), Extra{}) {}

Error::Error(Code code, std::string message, Extra extra)
    : code_(code), message_(std::move(message)), extra_(std::move(extra))
{
    render();
}

void Error::add_context(std::string where)
{
    context_.push_back(std::move(where));
    render();
}

void Error::render()
{
    what_.clear();
    for (auto it = context_.rbegin(); it != context_.rend(); ++it)
        what_ += *it + ": ";
    what_ += message_;
}

Error system_error(std::string_view doing, int errno_value, Code code)
{
    std::string text = std::string(doing) + ": " + std::strerror(errno_value);
    if (errno_value == ENOSPC || errno_value == EDQUOT) {
        return Error{Code::out_of_space,
                     std::move(text),
                     {.hint = "free some space and run the same command again"}};
    }
    return Error{code, std::move(text)};
}

} // namespace tidemark::base
