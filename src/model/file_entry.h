#pragma once

#include "base/clock.h"

#include <cstdint>
#include <string>

namespace tidemark::model {

enum class FileKind : std::uint8_t { regular = 1, directory = 2, tablespace_link = 3 };

/// A file, directory or tablespace link of a base backup.
struct FileEntry {
    std::uint32_t index = 0; ///< number within its backup, from 0
    FileKind kind = FileKind::regular;
    std::string path;        ///< relative to the data directory, '/'-separated; in a tablespace
                             ///< "pg_tblspc/OID/..."
    std::string link_target; ///< tablespace_link only: where it pointed at backup time
    std::uint32_t mode = 0600;
    base::Time modified;
    std::uint64_t size = 0; ///< final size; what no extent covers is zeros
    friend bool operator==(const FileEntry&, const FileEntry&) = default;
};

/// A page whose checksum stays wrong, or a file that could not be read to its end.
struct DamagedPage {
    std::string path;
    std::uint64_t block = 0; ///< within the file
    std::string why;
    friend bool operator==(const DamagedPage&, const DamagedPage&) = default;
};

} // namespace tidemark::model
