#pragma once

#include "engine/engine.h"
#include "engine/postgres/pq.h"

#include <string>

namespace tidemark::engine::postgres {

/// Throws Error{usage} unless `name` is a legal slot name: 1 to 63 of a-z, 0-9 and '_'.
void require_slot_name(const std::string& name);

/// State of the physical slot `name`. A logical slot of that name is Error{member_not_ready}.
SlotState read_slot(Connection& sql, const std::string& name);

/// Creates it with its log reserved at once; returns its restart position.
/// Error{member_not_ready} when it exists, or when no slot is free.
model::Offset create_slot(Connection& sql, const std::string& name);

/// Nothing happens when there is none. In use by somebody: Error{member_not_ready} with the pid.
void drop_slot(Connection& sql, const std::string& name);

/// All physical slots whose names begin as ours do ("tidemark_").
std::vector<OwnSlot> read_own_slots(Connection& sql);

/// Error{log_gap} unless the slot exists and is valid.
void require_usable_slot(const SlotState& state, const std::string& name);

} // namespace tidemark::engine::postgres
