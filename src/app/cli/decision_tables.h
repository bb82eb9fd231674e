#pragma once

#include "engine/engine.h"
#include "model/group.h"

#include <chrono>
#include <optional>

namespace tidemark::app {

class Environment;

/// Looks for the decision table that a member names (rules.md 7), if it names one: a table that is
/// misspelt, or renamed one day, would otherwise be noticed by a restore, when it is too late.
std::optional<engine::Check> check_decision_table(const model::GroupSpec& group,
                                                  const model::MemberSpec& member,
                                                  std::chrono::milliseconds patience);

/// The same of all members after a full backup, or what else is rare: it takes a session for each
/// database. A table that is not there is a warning; one
/// that could not be looked for is a note, lest every run ends with a warning.
void warn_of_decision_tables(Environment& environment);

} // namespace tidemark::app
