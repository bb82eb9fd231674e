#pragma once

#include "base/fd.h"
#include "engine/backup_source.h"
#include "engine/postgres/cluster_walk.h"
#include "engine/postgres/page_verifier.h"
#include "stream/throttle.h"

#include <array>
#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string_view>
#include <vector>

namespace tidemark::engine::postgres {

/// Largest run of bytes given to a sink at once.
inline constexpr std::size_t kExtentSize = 1U << 20;

inline constexpr std::string_view kTwophase = "pg_twophase/";
/// A prepared transaction's file states its length and ends in a checksum (access/twophase.c).
bool twophase_is_whole(base::ByteView bytes);

/// Waits as long as the throttle says, in slices, so that a stop ends it. Error{cancelled}.
void obey(stream::Throttle& throttle, std::uint64_t bytes, std::stop_token stop);
[[noreturn]] void throw_cancelled();

/// Copies the files of a walk into a sink with several threads. Big files are cut into parts and
/// the largest come first, so that all threads are busy to the end; the kernel is told which part
/// comes next, so that reading overlaps with what the sink does. Holds one buffer of kExtentSize
/// for each worker.
class FileCopier {
public:
    struct Options {
        std::uint32_t workers = 1;
        bool page_checksums = false;
    };
    FileCopier(Walk& walk, PageVerifier& verifier, stream::Throttle& throttle, Options options);

    /// Copies all files; entries' indexes must be set. A file that is gone is not announced; one
    /// that shrinks ends where it was read to.
    void run(BackupSink& sink, std::atomic<std::uint64_t>& progress, std::stop_token stop);
    /// The files that were announced, by path below pg_twophase.
    const std::vector<std::uint32_t>& prepared_xids() const { return prepared_xids_; }

private:
    /// Of both there is one for every file, and there may be millions.
    struct Part {
        std::uint32_t file = 0;
        std::uint32_t length = 0;
        std::uint64_t from = 0;
    };
    struct OpenFile {
        base::Fd fd;
        bool tried = false;
        std::atomic<std::uint32_t> parts_left{0};
        std::atomic<std::uint64_t> end{0}; ///< of what was read
    };
    struct Work {
        BackupSink& sink;
        std::atomic<std::uint64_t>& progress;
        std::uint32_t worker;
        base::ByteSpan buffer;
        std::stop_token stop;
    };

    void plan();
    int open(std::size_t file);
    void read_ahead(std::size_t part);
    void copy_part(const Part& part, const Work& work);
    void copy_twophase(std::size_t file, int fd, const Work& work);
    std::size_t read_extent(const std::string& path, int fd, std::uint64_t at, base::ByteSpan into);
    std::size_t read_around_faults(const std::string& path, int fd, std::uint64_t at,
                                   base::ByteSpan into);
    void part_done(std::size_t file, const Work& work);

    Walk& walk_;
    PageVerifier& verifier_;
    stream::Throttle& throttle_;
    Options options_;
    std::vector<Part> parts_;
    std::deque<OpenFile> open_;
    std::array<std::mutex, 16> opening_; ///< shared by files whose numbers are equal modulo 16
    std::atomic<std::size_t> next_{0};
    std::mutex announce_;
    std::vector<std::uint32_t> prepared_xids_;
};

} // namespace tidemark::engine::postgres
