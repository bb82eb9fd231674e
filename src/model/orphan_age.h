#pragma once

#include <chrono>

namespace tidemark::model {

/// A transaction that is prepared for longer has probably been forgotten by its coordinator. What
/// is younger may be work under way; what check, status and metrics call orphaned is this.
inline constexpr std::chrono::minutes kOrphanAge{10};

} // namespace tidemark::model
