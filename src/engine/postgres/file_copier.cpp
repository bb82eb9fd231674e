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
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace tidemark::engine::postgres {

namespace {

using namespace std::chrono_literals;
using stream::kPageSize;

/// A part is what one worker reads in a row: long enough for the disk, short enough that the last
/// parts of a backup keep all workers busy.
constexpr std::uint64_t kPartSize = 16U << 20;
constexpr std::size_t kMostTwophase = std::size_t{1} << 30;
constexpr std::uint32_t kTwophaseMagic = 0x57F94534;

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
    std::vector<std::size_t> order(walk_.files.size());
    for (std::size_t i = 0; i < order.size(); ++i)
        order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return walk_.files[a].entry.size > walk_.files[b].entry.size;
    });
    for (auto file : order) {
        std::uint64_t size = walk_.files[file].entry.size;
        bool is_twophase = walk_.files[file].entry.path.starts_with(kTwophase);
        std::uint64_t at = 0;
        do {
            // Half of a prepared transaction says nothing about its other half.
            auto step = is_twophase ? size : kPartSize;
            auto to = std::min(size, at + step);
            parts_.push_back({file, at, to});
            open_[file].parts_left.fetch_add(1, std::memory_order_relaxed);
            at = to;
        } while (at < size);
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
    std::lock_guard lock{state.mutex};
    if (!state.tried) {
        state.tried = true;
        const auto& walked = walk_.files[file];
        state.fd = open_walked(walk_.roots[walked.root], walked.path_in_root());
    }
    return state.fd.get();
}

void FileCopier::read_ahead(std::size_t part)
{
    auto advise = [&](std::size_t number) {
        if (number >= parts_.size()) return;
        const auto& next = parts_[number];
        if (next.to - next.from <= kPageSize) return; // the call costs more than it wins
        if (int fd = open(next.file); fd >= 0) {
            ::posix_fadvise(fd, static_cast<off_t>(next.from),
                            static_cast<off_t>(next.to - next.from), POSIX_FADV_WILLNEED);
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
    if (file.entry.path.starts_with(kTwophase)) {
        copy_twophase(part.file, fd, work);
        return part_done(part.file, work);
    }
    bool pages = options_.page_checksums && has_page_checksums(file.entry.path);
    PageVerifier::Reread reread = [&](std::uint64_t at, base::ByteSpan into) {
        return base::pread_full(fd, into, at, file.entry.path);
    };
    for (auto at = part.from; at < part.to;) {
        if (work.stop.stop_requested()) return;
        auto wanted = std::min<std::uint64_t>(kExtentSize, part.to - at);
        auto into = work.buffer.first(static_cast<std::size_t>(wanted));
        auto got = read_extent(file, fd, at, into);
        if (got == 0) break;
        auto bytes = into.first(got);
        if (pages) verifier_.verify(file.entry.path, at, bytes, reread);
        obey(throttle_, got, work.stop);
        // What no extent covers is zeros: an empty stretch costs nothing.
        if (!stream::is_zero(bytes)) work.sink.extent(work.worker, file.entry.index, at, bytes);
        work.progress.fetch_add(got, std::memory_order_relaxed);
        at += got;
        auto& end = open_[part.file].end;
        for (auto known = end.load(); known < at && !end.compare_exchange_weak(known, at);) {
        }
        if (got < wanted) break; // cut off meanwhile; replay knows
    }
    part_done(part.file, work);
}

std::size_t FileCopier::read_extent(const WalkedFile& file, int fd, std::uint64_t at,
                                    base::ByteSpan into)
{
    std::size_t done = 0;
    while (done < into.size()) {
        auto got =
            ::pread(fd, into.data() + done, into.size() - done, static_cast<off_t>(at + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EIO) return read_around_faults(file, fd, at, into);
        if (got < 0) throw base::system_error("cannot read " + file.entry.path, errno);
        if (got == 0) break;
        done += static_cast<std::size_t>(got);
    }
    return done;
}

/// The disk refuses part of this extent: saves the pages that can be read and names the others.
std::size_t FileCopier::read_around_faults(const WalkedFile& file, int fd, std::uint64_t at,
                                           base::ByteSpan into)
{
    for (std::size_t done = 0; done < into.size(); done += kPageSize) {
        auto page = into.subspan(done, std::min(kPageSize, into.size() - done));
        auto got = ::pread(fd, page.data(), page.size(), static_cast<off_t>(at + done));
        if (got == 0) return done;
        if (got < 0) {
            int error = errno;
            std::memset(page.data(), 0, page.size());
            verifier_.add_damage({file.entry.path, (at + done) / kPageSize,
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
    base::Bytes whole;
    base::ByteView bytes;
    for (int attempt = 0;; ++attempt) {
        // Four bytes for every subtransaction: it may be larger than an extent. PostgreSQL itself
        // reads at most a gigabyte of it (ReadTwoPhaseFile, MaxAllocSize).
        struct stat info = {};
        if (::fstat(fd, &info) != 0)
            throw base::system_error("cannot examine " + file.entry.path, errno);
        auto size = std::min(static_cast<std::size_t>(info.st_size), kMostTwophase);
        if (whole.size() < size) whole.resize(size);
        auto got = base::pread_full(fd, whole, 0, file.entry.path);
        bytes = base::ByteView(whole).first(got);
        if (twophase_is_whole(bytes)) break;
        if (attempt == 20 || work.stop.stop_requested()) {
            verifier_.add_damage(
                {file.entry.path, 0, "the prepared transaction's file has a wrong checksum"});
            break;
        }
        std::this_thread::sleep_for(10ms);
    }
    for (std::size_t at = 0; at < bytes.size(); at += kExtentSize) {
        auto extent = bytes.subspan(at, std::min<std::size_t>(kExtentSize, bytes.size() - at));
        work.sink.extent(work.worker, file.entry.index, at, extent);
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
    auto entry = walk_.files[file].entry;
    entry.size = state.end.load();
    std::lock_guard lock{announce_};
    work.sink.file(entry);
    if (entry.path.starts_with(kTwophase)) {
        auto xid = parse_twophase_name(std::string_view(entry.path).substr(kTwophase.size()));
        if (xid) prepared_xids_.push_back(*xid);
    }
}

} // namespace tidemark::engine::postgres
