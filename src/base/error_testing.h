#pragma once

#include "base/error.h"

namespace tidemark::base {

/// The Error that `body` throws; Code::ok when it throws none.
template <typename Body> Error error_of(Body&& body)
{
    try {
        body();
    } catch (const Error& error) {
        return error;
    }
    return {Code::ok, "no error"};
}

} // namespace tidemark::base
