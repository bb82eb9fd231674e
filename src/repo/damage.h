#pragma once

#include "base/error.h"

#include <exception>
#include <string>
#include <string_view>
#include <utility>

namespace tidemark::repo {

/// A stored object is missing, cut short, or does not hold what it must: Error{not_restorable} that
/// names it.
base::Error damaged(std::string_view key, std::string_view what);
base::Error missing(std::string_view key);
/// What an error says of the object, without naming it once more.
std::string said_of(std::string_view key, std::string_view what);
/// An object of a format version that this program does not know: Error{repository_newer}.
base::Error too_new(std::string_view what, unsigned major);

/// Carries an exception of the caller's own callback past parsing(), which would take it for
/// damage.
struct CallerFailed {
    std::exception_ptr why;
};

/// Runs a caller's callback inside of a parser.
template <typename Body> void calling_back(Body&& body)
{
    try {
        std::forward<Body>(body)();
    } catch (const std::exception&) {
        throw CallerFailed{std::current_exception()};
    }
}

/// Runs a parser over the bytes of object `key`: its plain failures become damaged(key, ...).
template <typename Body> decltype(auto) parsing(std::string_view key, Body&& body)
{
    try {
        return std::forward<Body>(body)();
    } catch (const CallerFailed& caller) {
        std::rethrow_exception(caller.why);
    } catch (base::Error& error) {
        if (error.code() == base::Code::failed) throw damaged(key, error.what());
        error.add_context(std::string(key));
        throw;
    }
}

} // namespace tidemark::repo
