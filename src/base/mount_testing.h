#pragma once

#include <cstdlib>
#include <linux/capability.h>
#include <string>
#include <string_view>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace tidemark::base {

/// Must a test be able to mount a file system here? Where it need not it is skipped, which a
/// summary of a suite does not show: so with CI=true a root that has the right has to succeed.
inline bool mounting_is_expected()
{
    const char* ci = std::getenv("CI");
    return ::geteuid() == 0 && ci != nullptr && std::string_view(ci) == "true" &&
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
