#pragma once

#include "engine/engine.h"
#include "model/group.h"

#include <optional>

namespace tidemark::app {

/// The check `password`: a secret stands in the configuration. Absent when none does.
std::optional<engine::Check> password_check(const model::MemberSpec& member);

} // namespace tidemark::app
