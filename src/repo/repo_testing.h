#pragma once

#include "base/clock.h"
#include "model/manifest.h"
#include "model/mark.h"
#include "repo/lease.h"
#include "repo/piece.h"
#include "store/memory.h"

#include <chrono>
#include <memory>
#include <string>

// What the tests of this room share: a store whose clock they move, and small valid values.
namespace tidemark::repo::testing {

inline constexpr std::uint32_t kSegment = 1u << 20;

inline base::Time test_time()
{
    return base::parse_time("2026-11-22T14:00:00Z").value();
}

/// A store and the clock by which its leases expire.
struct TestStore {
    base::FakeClock clock{test_time()};
    store::MemoryStorage storage{clock};
};

inline LeaseOwner owner(const std::string& command)
{
    return LeaseOwner::this_process(command);
}

/// One of another machine: nobody can tell whether it lives.
inline LeaseOwner remote_owner(const std::string& command)
{
    LeaseOwner out = LeaseOwner::this_process(command);
    out.host = "elsewhere";
    out.boot = "00000000-0000-0000-0000-000000000000";
    return out;
}

inline std::unique_ptr<Lease> take(store::Storage& storage, const std::string& activity = "log",
                                   const LeaseOwner& who = remote_owner("tidemark log"))
{
    return Lease::acquire(storage, "shop", activity, who, {.renew = false});
}

} // namespace tidemark::repo::testing
