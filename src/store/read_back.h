#pragma once

#include "base/fd.h"

namespace tidemark::store {

/// Whether files of the file system that holds `fd` lie behind a network or a program (NFS, CIFS,
/// FUSE and their like), where a write and its fsync may succeed and the bytes be lost or changed
/// all the same (rules.md 30). Told by statfs(2)'s f_type.
bool needs_read_back(int fd);

} // namespace tidemark::store
