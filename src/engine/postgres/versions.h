#pragma once

namespace tidemark::engine::postgres {

/// server_version_num / 10000 of the servers that every part of this engine knows.
inline constexpr int kOldestMajor = 13;
inline constexpr int kNewestMajor = 18;

} // namespace tidemark::engine::postgres
