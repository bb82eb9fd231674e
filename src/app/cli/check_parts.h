#pragma once

#include "app/cli/environment.h"
#include "base/error.h"
#include "engine/engine.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tidemark::app {

// What `tidemark check` is made of.

/// `fix`: what a person does about it.
inline engine::Check failed(std::string name, std::string cause, std::string fix)
{
    return {.name = std::move(name),
            .state = engine::CheckState::failed,
            .cause = std::move(cause),
            .fix = std::move(fix)};
}

inline engine::Check fine(std::string name, std::string cause)
{
    return {.name = std::move(name),
            .state = engine::CheckState::ok,
            .cause = std::move(cause),
            .fix = {}};
}

/// The repository must not die with a member: not on the device of a data directory or its log.
/// `worst`: why it cannot be used.
std::vector<engine::Check> repository_checks(Environment& environment,
                                             std::optional<base::Code>& worst);

} // namespace tidemark::app
