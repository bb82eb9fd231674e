#pragma once

#include <cstdlib>
#include <unistd.h>

namespace tidemark::base {

/// While it lives the process may do what modes allow and no more: a root lays its rights aside.
class PlainRights {
public:
    PlainRights() : root_(::geteuid() == 0)
    {
        constexpr uid_t kNobody = 65534;
        if (root_ && ::seteuid(kNobody) != 0) std::abort();
    }
    PlainRights(const PlainRights&) = delete;
    PlainRights& operator=(const PlainRights&) = delete;
    ~PlainRights()
    {
        if (root_ && ::seteuid(0) != 0) std::abort();
    }

private:
    bool root_;
};

} // namespace tidemark::base
