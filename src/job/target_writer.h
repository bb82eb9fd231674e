#pragma once

#include "job/target_tree.h"

#include <atomic>
#include <cstdint>
#include <string>

namespace tidemark::job {

/// Writes pieces of a target's files, one thread each; keeps the last file open. Long pieces go
/// past the page cache (O_DIRECT) where the file system can do that: a restore writes far more than
/// anybody reads back soon, and filling the cache costs more than the disk does. The rest, and
/// everything elsewhere, is written through the cache and its writeback is begun at once. Nothing
/// is durable before TargetTree::sync().
class TargetWriter {
public:
    /// Shared by the writers of a restore: no other file is tried once one could not do it.
    struct Ability {
        std::atomic<bool> direct{true};
    };

    explicit TargetWriter(Ability& ability) : ability_(ability) {}

    /// `path` was made by `tree`, which must outlive this. Not `bytes` but their address decides
    /// whether they can go past the cache: base::kDirectAlignment.
    void write(const TargetTree& tree, const std::string& path, base::ByteView bytes,
               std::uint64_t offset);
    /// What went past the page cache.
    std::uint64_t direct_bytes() const { return direct_bytes_; }

private:
    void enter(const TargetTree& tree, const std::string& path);
    std::size_t write_direct(base::ByteView bytes, std::uint64_t offset);
    void write_cached(base::ByteView bytes, std::uint64_t offset);

    Ability& ability_;
    const TargetTree* tree_ = nullptr;
    std::string path_;
    base::Fd cached_;
    base::Fd direct_;
    std::uint64_t direct_bytes_ = 0;
};

} // namespace tidemark::job
