#pragma once

#include "engine/engine.h"
#include "model/group.h"
#include "model/mark.h"

#include <chrono>
#include <optional>
#include <string>

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

/// What a person should know of a mark shortly behind a failover of a member with a table; empty
/// where nothing is to be known. Later marks carry such commits on and say nothing.
std::string commits_to_ask_for(const model::Mark& mark);

/// A note with that, wherever a mark was placed.
void note_commits_to_ask_for(Environment& environment, const model::Mark& mark);

} // namespace tidemark::app
