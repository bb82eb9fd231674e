#pragma once

#include "base/bytes.h"
#include "model/file_entry.h"
#include "model/log_position.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace tidemark::engine::postgres {

/// Checks the page checksums of a base backup while it is read. Used by all workers at once.
///
/// A page that is being written while we read it looks broken. If it claims a position in the log
/// from the backup's start on, replay writes it anew whatever we read (a backup forces full page
/// images), so it passes, as in the server's own base backup; but not a page that claims a position
/// the log has not reached. All other bad pages are read again a few times before they are called
/// damaged.
class PageVerifier {
public:
    struct Options {
        model::Offset start = 0;         ///< of the backup
        std::uint32_t segment_pages = 0; ///< pages in one file of a large relation
        /// The log's present end; asked rarely, from any worker.
        std::function<model::Offset()> log_end;
        /// Waits between two readings.
        std::function<void(std::chrono::milliseconds)> pause;
    };
    /// Reads part of the file again; less than asked is the file's end, absent: it cannot be done.
    using Reread =
        std::function<std::optional<std::size_t>(std::uint64_t offset, base::ByteSpan into)>;

    explicit PageVerifier(Options options) : options_(std::move(options)) {}

    /// Verifies the whole pages in `bytes`, which stand at `offset` of the relation file `path`,
    /// and puts better readings of bad pages in their place. A page that the file lost meanwhile
    /// becomes zeros. One that cannot be read again is reported with `no_reread` as remark.
    void verify(const std::string& path, std::uint64_t offset, base::ByteSpan bytes,
                const Reread& reread, std::string_view no_reread = {});
    /// Reports a page that could not be read at all.
    void add_damage(model::DamagedPage page);

    /// At most kMostNamed of them; a disk that is gone must not fill memory and manifest.
    std::vector<model::DamagedPage> damaged() const;
    std::uint64_t damaged_count() const;
    static constexpr std::size_t kMostNamed = 1000;
    std::uint64_t verified() const { return verified_.load(std::memory_order_relaxed); }
    std::uint64_t reread() const { return reread_.load(std::memory_order_relaxed); }

private:
    struct Place {
        const std::string& path;
        std::uint64_t offset;
        std::uint32_t block; ///< in the relation fork, as the checksum counts
    };
    bool passes(base::ByteView page, std::uint32_t block);
    void mend(const Place& place, base::ByteSpan page, const Reread& reread,
              std::string_view no_reread);
    void report(const Place& place, base::ByteView page, std::string_view remark);

    Options options_;
    std::atomic<std::uint64_t> verified_{0};
    std::atomic<std::uint64_t> reread_{0};
    mutable std::mutex mutex_;
    std::vector<model::DamagedPage> damaged_;
    std::uint64_t damaged_count_ = 0;
    std::atomic<model::Offset> known_end_{0};
};

} // namespace tidemark::engine::postgres
