#pragma once

#include <sys/types.h>

namespace tidemark::base {

/// Opens `path` below an open folder as openat(2) would, but never outside of it: neither an
/// absolute path, nor "..", nor a link on the way or at its end leads anywhere. Returns a
/// descriptor (closed on exec), or -1 with errno: EXDEV where the path would leave the folder,
/// ELOOP where a link is in the way (at the end ENOTDIR, if a folder was asked for).
///
/// The kernel resolves it where it can (openat2, Linux 5.6). Where that call is refused (ENOSYS,
/// EPERM), each part is opened by itself, and every ".." is EXDEV: older kernels, filters that do
/// not know the call, and services under systemd's RestrictSUIDSGID=, whose filter answers ENOSYS
/// because it cannot look into openat2's arguments.
int open_beneath(int folder, const char* path, int flags, mode_t mode = 0);

/// The second way, for its tests.
int open_part_by_part(int folder, const char* path, int flags, mode_t mode = 0);

} // namespace tidemark::base
