#pragma once

#include <cstdlib>
#include <unistd.h>

namespace tidemark::base {

/// While it lives the process may do what modes allow and no more: a root lays its rights aside and
/// is `user`.
class PlainRights {
public:
    static constexpr uid_t kNobody = 65534;

    explicit PlainRights(uid_t user = kNobody) : root_(::geteuid() == 0)
    {
        if (root_ && ::seteuid(user) != 0) std::abort();
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
