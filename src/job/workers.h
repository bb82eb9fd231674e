#pragma once

#include <cstddef>
#include <cstdint>

namespace tidemark::job {

/// Threads for each member when `wanted` are asked for: all members work at once, and each thread
/// holds a frame of 4 MiB, plain and compressed. Bounded over all of them, so that a job stays
/// below 256 MiB however many processors there are.
std::uint32_t workers_each(std::uint32_t wanted, std::size_t members);

} // namespace tidemark::job
