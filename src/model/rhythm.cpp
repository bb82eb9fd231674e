#include "model/rhythm.h"

#include <algorithm>

namespace tidemark::model {

base::Duration usual_patience(std::vector<base::Time> starts)
{
    constexpr std::size_t kFewest = 3;
    constexpr base::Duration kLeast = std::chrono::hours{1};
    constexpr base::Duration kUnknown = std::chrono::hours{24};
    std::sort(starts.begin(), starts.end());
    std::vector<base::Duration> distances;
    for (std::size_t i = 1; i < starts.size(); ++i)
        distances.push_back(std::chrono::duration_cast<base::Duration>(starts[i] - starts[i - 1]));
    if (distances.size() < kFewest) return kUnknown;
    std::sort(distances.begin(), distances.end());
    // The upper quartile: jobs by hand come close together, a pause is the largest.
    return std::max(kLeast, 3 * distances[distances.size() * 3 / 4]);
}

} // namespace tidemark::model
