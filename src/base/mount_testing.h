#pragma once

#include "base/ci_testing.h"

#include <linux/capability.h>
#include <string>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace tidemark::base {

/// Must a test be able to mount a file system here? With CI=true a root that has the right has to.
inline bool mounting_is_expected()
{
    return ::geteuid() == 0 && nothing_may_be_skipped() &&
           ::prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) == 1;
}

inline constexpr const char* kNoMount = "a file system cannot be mounted here (CAP_SYS_ADMIN)";

/// A small file system over an empty folder, as long as this lives.
class SmallMount {
public:
    /// `options` as mount(8) takes them for tmpfs, "size=1m".
    SmallMount(std::string place, const std::string& options) : place_(std::move(place))
    {
        mounted_ = ::mount("tmpfs", place_.c_str(), "tmpfs", 0, options.c_str()) == 0;
    }
    SmallMount(const SmallMount&) = delete;
    SmallMount& operator=(const SmallMount&) = delete;
    ~SmallMount()
    {
        if (mounted_) ::umount2(place_.c_str(), MNT_DETACH);
    }
    bool mounted() const { return mounted_; }
    void change(const std::string& options) const
    {
        ::mount(nullptr, place_.c_str(), nullptr, MS_REMOUNT, options.c_str());
    }

private:
    std::string place_;
    bool mounted_ = false;
};

} // namespace tidemark::base
