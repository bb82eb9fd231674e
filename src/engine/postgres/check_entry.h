#pragma once

#include "engine/engine.h"

#include <string>
#include <utility>

namespace tidemark::engine::postgres {

inline Check ok(std::string name, std::string cause)
{
    return {.name = std::move(name), .state = CheckState::ok, .cause = std::move(cause), .fix = {}};
}

inline Check waiting(std::string name, std::string cause, std::string fix)
{
    return {std::move(name), CheckState::waiting, std::move(cause), std::move(fix)};
}

inline Check failed(std::string name, std::string cause, std::string fix)
{
    return {std::move(name), CheckState::failed, std::move(cause), std::move(fix)};
}

} // namespace tidemark::engine::postgres
