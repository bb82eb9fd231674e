#include "job/target_writer.h"

#include "base/aligned.h"
#include "base/error.h"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace tidemark::job {

namespace {

/// Below this a wait for the disk costs more than the page cache does.
constexpr std::size_t kLeastDirect = 128U << 10;

bool can_go_direct(base::ByteView bytes, std::uint64_t offset)
{
    return bytes.size() >= kLeastDirect && offset % base::kDirectAlignment == 0 &&
           reinterpret_cast<std::uintptr_t>(bytes.data()) % base::kDirectAlignment == 0;
}

} // namespace

void TargetWriter::write(const TargetTree& tree, const std::string& path, base::ByteView bytes,
                         std::uint64_t offset)
{
    if (tree_ != &tree || path_ != path) enter(tree, path);
    if (ability_.direct && can_go_direct(bytes, offset)) {
        auto done =
            write_direct(bytes.first(bytes.size() - bytes.size() % base::kDirectAlignment), offset);
        bytes = bytes.subspan(done);
        offset += done;
    }
    if (!bytes.empty()) write_cached(bytes, offset);
}

void TargetWriter::enter(const TargetTree& tree, const std::string& path)
{
    cached_.reset();
    direct_.reset();
    tree_ = &tree;
    path_ = path;
}

/// How many bytes it wrote: fewer when the file system turns out not to be able to.
std::size_t TargetWriter::write_direct(base::ByteView bytes, std::uint64_t offset)
{
    if (!direct_) direct_ = tree_->open_direct(path_);
    std::size_t done = 0;
    while (direct_ && done < bytes.size()) {
        auto wrote = ::pwrite(direct_.get(), bytes.data() + done, bytes.size() - done,
                              static_cast<off_t>(offset + done));
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0 && errno != EINVAL && errno != EOPNOTSUPP) {
            throw base::system_error("cannot write " + (tree_->root() / path_).string(), errno);
        }
        // A short write leaves an offset that the next one cannot start from.
        if (wrote <= 0 || static_cast<std::size_t>(wrote) % base::kDirectAlignment != 0) {
            done += static_cast<std::size_t>(wrote > 0 ? wrote : 0);
            if (wrote < 0) direct_.reset();
            break;
        }
        done += static_cast<std::size_t>(wrote);
    }
    if (!direct_) ability_.direct = false;
    direct_bytes_ += done;
    return done;
}

void TargetWriter::write_cached(base::ByteView bytes, std::uint64_t offset)
{
    if (!cached_) cached_ = tree_->open(path_);
    base::pwrite_full(cached_.get(), bytes, offset, (tree_->root() / path_).native());
    // Starts the disk now, so that the sync at the end finds little to do.
    ::sync_file_range(cached_.get(), static_cast<off_t>(offset), static_cast<off_t>(bytes.size()),
                      SYNC_FILE_RANGE_WRITE);
}

} // namespace tidemark::job
