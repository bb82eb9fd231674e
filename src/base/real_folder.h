#pragma once

#include "base/fd.h"

#include <filesystem>

namespace tidemark::base {

/// Opens the folder at an absolute path in which no part is a link (base::open_beneath): whoever
/// may write somewhere on the way cannot lead us elsewhere. Error{target_not_empty} where a link
/// stands in the way.
Fd open_real_folder(const std::filesystem::path& path);

/// For calls that know paths only: reaches what lies in an open folder, whatever has become of the
/// folder's name since. Valid in this process while `folder` is open.
std::filesystem::path path_within(const Fd& folder, const std::string& name = {});

/// The absolute path with the links in it resolved, as far as it exists. Links that were made by
/// another account than root and ours are refused: Error{usage}.
std::filesystem::path resolve_links(const std::filesystem::path& path);

/// Replaces a file in an open folder, atomically and durably; `shown` is its name in errors. One
/// writer at a time.
void replace_file_in(const Fd& folder, const std::string& name, ByteView bytes,
                     std::string_view shown);

/// The account that owns an open file or folder.
uid_t owner_of(const Fd& fd, std::string_view what);

} // namespace tidemark::base
