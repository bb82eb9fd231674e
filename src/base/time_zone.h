#pragma once

#include "base/clock.h"

#include <chrono>
#include <memory>
#include <string>

namespace tidemark::base {

/// Wall time of some zone, without saying which.
using LocalTime = std::chrono::local_time<std::chrono::seconds>;

/// A time zone of the system's database (tzdata), or "UTC", which needs none. A cheap value.
class TimeZone {
public:
    /// By its name, "Europe/Berlin". Error{usage} when the system does not know it.
    static TimeZone find(const std::string& name);

    const std::string& name() const { return name_; }
    LocalTime to_local(Time time) const;
    /// The moment a clock on the wall shows `local`: the first of the two when the clocks went
    /// back, the moment of the change when they were put forward over it.
    Time to_time(LocalTime local) const;

private:
    std::string name_ = "UTC";
    const void* zone_ = nullptr; ///< of the library, which keeps it for ever; null is UTC
};

} // namespace tidemark::base
