#include "engine/postgres/file_copier.h"

#include "base/error.h"
#include "base/io_priority.h"
#include "base/task_group.h"
#include "engine/postgres/backup_rules.h"
#include "stream/crc32c.h"
#include "stream/page_checksum.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <numeric>
#include <sys/stat.h>
#include <thread>
#include <tuple>
#include <unistd.h>

namespace tidemark::engine::postgres {

namespace {

using namespace std::chrono_literals;
using stream::kPageSize;

/// A part is what one worker reads in a row: long enough for the disk, short enough that the last
/// parts of a backup keep all workers busy.
constexpr std::uint64_t kPartSize = 16U << 20;
constexpr std::uint64_t kMostTwophase = std::uint64_t{1} << 30;
constexpr std::uint32_t kTwophaseMagic = 0x57F94534;

bool is_twophase(const std::string& path)
{
    return path.starts_with(kTwophase);
}

} // namespace

bool twophase_is_whole(base::ByteView bytes)
{
    if (bytes.size() < 16 || base::load_u32(bytes.data()) != kTwophaseMagic) return false;
    if (base::load_u32(bytes.data() + 4) != bytes.size()) return false;
    auto body = bytes.first(bytes.size() - 4);
    return stream::crc32c(body) == base::load_u32(bytes.data() + body.size());
}

void throw_cancelled()
{
    throw base::Error{base::Code::cancelled, "the base backup was stopped"};
}

void obey(stream::Throttle& throttle, std::uint64_t bytes, std::stop_token stop)
{
    auto until = std::chrono::steady_clock::now();
    until += throttle.take(bytes, until);
    while (!stop.stop_requested()) {
        auto left = until - std::chrono::steady_clock::now();
        if (left <= 0ns) return;
        std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(left, 50ms));
    }
    throw_cancelled();
}

FileCopier::FileCopier(Walk& walk, PageVerifier& verifier, stream::Throttle& throttle,
                       Options options)
    : walk_(walk), verifier_(verifier), throttle_(throttle), options_(options),
      open_(walk.files.size())
{
    plan();
}

void FileCopier::plan()
{
    std::vector<std::uint32_t> order(walk_.files.size());
    std::iota(order.begin(), order.end(), 0U);
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
        return std::tuple{walk_.files[b].size, a} < std::tuple{walk_.files[a].size, b};
    });
    parts_.reserve(order.size() + walk_.bytes / kPartSize);
    for (auto number : order) {
        const auto& file = walk_.files[number];
        // Half of a prepared transaction says nothing about its other half.
        auto longest = is_twophase(walk_.path(file)) ? kMostTwophase : kPartSize;
        std::uint64_t at = 0;
        do {
            auto length = std::min<std::uint64_t>(file.size - at, longest);
            parts_.push_back({number, static_cast<std::uint32_t>(length), at});
            open_[number].parts_left.fetch_add(1, std::memory_order_relaxed);
            at += length;
        } while (at < file.size);
    }
}

void FileCopier::run(BackupSink& sink, std::atomic<std::uint64_t>& progress, std::stop_token stop)
{
    base::TaskGroup group{stop};
    for (std::uint32_t worker = 0; worker < options_.workers; ++worker) {
        group.add([&, worker](std::stop_token own) {
            base::lower_io_priority(); // the server's own reading comes first
            base::Bytes buffer(kExtentSize);
            Work work{sink, progress, worker, buffer, own};
            while (true) {
                auto number = next_.fetch_add(1);
                if (number >= parts_.size()) return;
                if (own.stop_requested()) return;
                read_ahead(number);
                copy_part(parts_[number], work);
            }
        });
    }
    group.wait();
    if (stop.stop_requested()) throw_cancelled();
}

int FileCopier::open(std::size_t file)
{
    auto& state = open_[file];
    std::lock_guard lock{opening_[file % opening_.size()]};
    if (!state.tried) {
        state.tried = true;
        state.fd = walk_.open(walk_.files[file]);
    }
    return state.fd.get();
}

void FileCopier::read_ahead(std::size_t part)
{
    auto advise = [&](std::size_t number) {
        if (number >= parts_.size()) return;
        const auto& next = parts_[number];
        if (next.length <= kPageSize) return; // the call costs more than it wins
        if (int fd = open(next.file); fd >= 0) {
            ::posix_fadvise(fd, static_cast<off_t>(next.from), static_cast<off_t>(next.length),
                            POSIX_FADV_WILLNEED);
        }
    };
    // Parts are taken in order, so the one after all present ones is what this or another worker
    // reads next.
    if (part < options_.workers) advise(part);
    advise(part + options_.workers);
}

void FileCopier::copy_part(const Part& part, const Work& work)
{
    const auto& file = walk_.files[part.file];
    int fd = open(part.file);
    if (fd < 0) return part_done(part.file, work);
    auto path = walk_.path(file);
    if (is_twophase(path)) {
        copy_twophase(part.file, fd, work);
        return part_done(part.file, work);
    }
    bool pages = options_.page_checksums && has_page_checksums(path);
    PageVerifier::Reread reread = [&](std::uint64_t at, base::ByteSpan into) {
        return base::pread_full(fd, into, at, path);
    };
    const auto to = part.from + part.length;
    for (auto at = part.from; at < to;) {
        if (work.stop.stop_requested()) return;
        auto wanted = std::min<std::uint64_t>(kExtentSize, to - at);
        auto into = work.buffer.first(static_cast<std::size_t>(wanted));
        auto got = read_extent(path, fd, at, into);
        if (got == 0) break;
        auto bytes = into.first(got);
        if (pages) verifier_.verify(path, at, bytes, reread);
        obey(throttle_, got, work.stop);
        // What no extent covers is zeros: an empty stretch costs nothing.
        if (!stream::is_zero(bytes)) work.sink.extent(work.worker, file.index, at, bytes);
        work.progress.fetch_add(got, std::memory_order_relaxed);
        at += got;
        auto& end = open_[part.file].end;
        for (auto known = end.load(); known < at && !end.compare_exchange_weak(known, at);) {
        }
        if (got < wanted) break; // cut off meanwhile; replay knows
    }
    part_done(part.file, work);
}

std::size_t FileCopier::read_extent(const std::string& path, int fd, std::uint64_t at,
                                    base::ByteSpan into)
{
    std::size_t done = 0;
    while (done < into.size()) {
        auto got =
            ::pread(fd, into.data() + done, into.size() - done, static_cast<off_t>(at + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EIO) return read_around_faults(path, fd, at, into);
        if (got < 0) throw base::system_error("cannot read " + path, errno);
        if (got == 0) break;
        done += static_cast<std::size_t>(got);
    }
    return done;
}

/// The disk refuses part of this extent: saves the pages that can be read and names the others.
std::size_t FileCopier::read_around_faults(const std::string& path, int fd, std::uint64_t at,
                                           base::ByteSpan into)
{
    for (std::size_t done = 0; done < into.size(); done += kPageSize) {
        auto page = into.subspan(done, std::min(kPageSize, into.size() - done));
        auto got = ::pread(fd, page.data(), page.size(), static_cast<off_t>(at + done));
        if (got == 0) return done;
        if (got < 0) {
            int error = errno;
            std::memset(page.data(), 0, page.size());
            verifier_.add_damage({path, (at + done) / kPageSize,
                                  fmt::format("cannot be read: {}; zeros stand in its place",
                                              std::strerror(error))});
        } else if (static_cast<std::size_t>(got) < page.size()) {
            return done + static_cast<std::size_t>(got);
        }
    }
    return into.size();
}

/// A checkpoint may be writing the file right now, and recovery refuses half of one.
void FileCopier::copy_twophase(std::size_t number, int fd, const Work& work)
{
    const auto& file = walk_.files[number];
    const auto path = walk_.path(file);
    base::Bytes whole;
    base::ByteView bytes;
    for (int attempt = 0;; ++attempt) {
        // Four bytes for every subtransaction: it may be larger than an extent. PostgreSQL itself
        // reads at most a gigabyte of it (ReadTwoPhaseFile, MaxAllocSize).
        struct stat info = {};
        if (::fstat(fd, &info) != 0) throw base::system_error("cannot examine " + path, errno);
        auto size = std::min(static_cast<std::size_t>(info.st_size), kMostTwophase);
        if (whole.size() < size) whole.resize(size);
        auto got = base::pread_full(fd, whole, 0, path);
        bytes = base::ByteView(whole).first(got);
        if (twophase_is_whole(bytes)) break;
        if (attempt == 20 || work.stop.stop_requested()) {
            verifier_.add_damage({path, 0, "the prepared transaction's file has a wrong checksum"});
            break;
        }
        std::this_thread::sleep_for(10ms);
    }
    for (std::size_t at = 0; at < bytes.size(); at += kExtentSize) {
        auto extent = bytes.subspan(at, std::min<std::size_t>(kExtentSize, bytes.size() - at));
        work.sink.extent(work.worker, file.index, at, extent);
    }
    work.progress.fetch_add(bytes.size(), std::memory_order_relaxed);
    open_[number].end.store(bytes.size());
}

void FileCopier::part_done(std::size_t file, const Work& work)
{
    auto& state = open_[file];
    if (state.parts_left.fetch_sub(1) != 1) return;
    bool gone = !state.fd;
    state.fd.reset();
    if (gone) return;
    auto entry = walk_.entry(walk_.files[file]);
    entry.size = state.end.load();
    std::lock_guard lock{announce_};
    work.sink.file(entry);
    if (is_twophase(entry.path)) {
        auto xid = parse_twophase_name(std::string_view(entry.path).substr(kTwophase.size()));
        if (xid) prepared_xids_.push_back(*xid);
    }
}

} // namespace tidemark::engine::postgres
