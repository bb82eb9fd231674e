#include "job/workers.h"

#include <algorithm>

namespace tidemark::job {

std::uint32_t workers_each(std::uint32_t wanted, std::size_t members)
{
    constexpr std::size_t kMostWorkers = 16;
    auto most = std::max<std::size_t>(1, kMostWorkers / std::max<std::size_t>(1, members));
    return std::min(std::max(1U, wanted), static_cast<std::uint32_t>(most));
}

} // namespace tidemark::job
