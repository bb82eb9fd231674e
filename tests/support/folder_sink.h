#pragma once

#include "base/fd.h"
#include "engine/backup_source.h"

#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace tidemark::support {

/// Receives a base backup into plain files, as simply as can be: what a restore would write.
class FolderSink final : public engine::BackupSink {
public:
    /// `scratch` holds the bytes until place(); both folders lie on one file system.
    explicit FolderSink(std::filesystem::path scratch);

    void file(const model::FileEntry& entry) override;
    void extent(std::uint32_t worker, std::uint32_t index, std::uint64_t offset,
                base::ByteView bytes) override;

    /// Puts everything where it belongs below `data`; a tablespace's files go to
    /// `tablespaces`/OID. Returns tablespace_map for the new places.
    std::string place(const std::filesystem::path& data, const std::filesystem::path& tablespaces);

    /// By path, once everything has arrived.
    const std::map<std::string, model::FileEntry>& entries() const { return entries_; }
    std::uint64_t bytes() const { return bytes_; }
    /// The first broken promise of the source, or empty.
    const std::string& complaint() const { return complaint_; }

private:
    std::filesystem::path scratch_file(std::uint32_t index) const;
    void complain(std::string what);

    std::filesystem::path scratch_;
    std::mutex mutex_;
    std::map<std::string, model::FileEntry> entries_;
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t> last_; ///< worker, file
    std::uint64_t bytes_ = 0;
    std::string complaint_;
};

/// Takes the backup with `source` from its start to its end into `sink`.
engine::BackupEnd take_backup(engine::BackupSource& source, engine::BackupSink& sink);

} // namespace tidemark::support
