#include "store/read_back.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <linux/magic.h>
#include <sys/vfs.h>

namespace tidemark::store {

namespace {

// Not in linux/magic.h of every release; numbers from statfs(2) and the file systems' sources.
constexpr std::uint32_t kCeph = 0x00c36400;
constexpr std::uint32_t kCifs = 0xff534d42;
constexpr std::uint32_t kFuse = 0x65735546;
constexpr std::uint32_t kGpfs = 0x47504653;
constexpr std::uint32_t kLustre = 0x0bd00bd0;
constexpr std::uint32_t kNinePlan = 0x01021997;
constexpr std::uint32_t kSmb2 = 0xfe534d42;
constexpr std::uint32_t kVirtualBox = 0x786f4256;

constexpr std::array<std::uint32_t, 12> kFar = {
    NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, AFS_SUPER_MAGIC, CODA_SUPER_MAGIC, kCeph, kCifs,
    kFuse,           kGpfs,           kLustre,         kNinePlan,        kSmb2, kVirtualBox};

} // namespace

bool needs_read_back(int fd)
{
    struct statfs info = {};
    while (::fstatfs(fd, &info) != 0) {
        if (errno != EINTR) return true; // it cannot be told: better once too often
    }
    auto type = static_cast<std::uint32_t>(info.f_type);
    return std::find(kFar.begin(), kFar.end(), type) != kFar.end();
}

} // namespace tidemark::store
