#include "base/time_zone.h"

#include "base/error.h"

#include <date/tz.h>

namespace tidemark::base {

namespace {

const date::time_zone& library_zone(const void* zone)
{
    return *static_cast<const date::time_zone*>(zone);
}

} // namespace

TimeZone TimeZone::find(const std::string& name)
{
    TimeZone out;
    out.name_ = name;
    if (name == "UTC" || name == "Etc/UTC") return out;
    try {
        out.zone_ = date::locate_zone(name);
    } catch (const std::exception& error) {
        throw Error{Code::usage,
                    "there is no time zone '" + name + "' on this system",
                    {.hint = "use a name such as Europe/Berlin or UTC; the names come from the "
                             "package tzdata"}};
    }
    return out;
}

LocalTime TimeZone::to_local(Time time) const
{
    auto seconds = std::chrono::floor<std::chrono::seconds>(time);
    std::chrono::seconds offset{0};
    if (zone_ != nullptr)
        offset = library_zone(zone_).get_info(date::sys_seconds{seconds.time_since_epoch()}).offset;
    return LocalTime{seconds.time_since_epoch() + offset};
}

Time TimeZone::to_time(LocalTime local) const
{
    if (zone_ == nullptr) return Time{local.time_since_epoch()};
    auto info = library_zone(zone_).get_info(date::local_seconds{local.time_since_epoch()});
    if (info.result == date::local_info::nonexistent)
        return Time{info.first.end.time_since_epoch()};
    // Of two moments the first: its offset is the one before the change.
    return Time{local.time_since_epoch() - info.first.offset};
}

} // namespace tidemark::base
