#pragma once

#include <source_location>

namespace tidemark::base {

/// Prints the broken expectation and aborts. Called by CHECK only.
[[noreturn]] void check_failed(const char* expression, std::source_location where);

} // namespace tidemark::base

/// An invariant of ours; always compiled in. Never for input.
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) [[unlikely]]                                                             \
            ::tidemark::base::check_failed(#condition, std::source_location::current());           \
    } while (false)
