#include "job/absent.h"

namespace tidemark::job {

void Absent::add(const std::string& member, const base::Error& why)
{
    std::lock_guard lock(mutex_);
    members_.emplace(member, why);
}

bool Absent::has(const std::string& member) const
{
    std::lock_guard lock(mutex_);
    return members_.contains(member);
}

std::map<std::string, base::Error> Absent::all() const
{
    std::lock_guard lock(mutex_);
    return members_;
}

} // namespace tidemark::job
