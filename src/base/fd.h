#pragma once

#include "base/bytes.h"
#include "base/error.h"
#include "base/io.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include <sys/types.h>

namespace tidemark::base {

/// Owns a file descriptor; closes it at the end of its life without looking at the result. Whoever
/// needs to know that the bytes arrived calls fsync_fd() first.
class Fd {
public:
    Fd() = default;
    explicit Fd(int fd) noexcept : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(other.release()) {}
    Fd& operator=(Fd&& other) noexcept;
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    ~Fd() { reset(); }

    int get() const noexcept { return fd_; }
    bool valid() const noexcept { return fd_ >= 0; }
    explicit operator bool() const noexcept { return valid(); }
    int release() noexcept;
    void reset() noexcept;

private:
    int fd_ = -1;
};

/// open(2) with O_CLOEXEC added and EINTR handled; a failure is "cannot open <path>: ...".
Fd open_file(const std::filesystem::path& path, int flags, mode_t mode = 0600);
/// The same for reading only.
Fd open_read(const std::filesystem::path& path);
/// A directory, for fsync or as the start of openat().
Fd open_directory_fd(const std::filesystem::path& path);

/// The transfers below finish short reads and writes and repeat after EINTR. `what` names the file
/// in the error. Reads return less than asked only at the end of the file.
std::size_t read_some(int fd, ByteSpan into, std::string_view what);
std::size_t read_full(int fd, ByteSpan into, std::string_view what);
std::size_t pread_full(int fd, ByteSpan into, std::uint64_t offset, std::string_view what);
void write_full(int fd, ByteView bytes, std::string_view what);
void pwrite_full(int fd, ByteView bytes, std::uint64_t offset, std::string_view what);
/// For callers that translate errors themselves: 0 or errno.
[[nodiscard]] int try_write_full(int fd, ByteView bytes) noexcept;

/// After a failed fsync the kernel may have dropped the dirty pages and forgotten the error, so a
/// second fsync that succeeds proves nothing: the file is lost, and none of these ever retries.
void fsync_fd(int fd, std::string_view what);
/// Makes creations, renames and removals inside `path` durable.
void fsync_directory(const std::filesystem::path& path);

std::uint64_t file_size(int fd, std::string_view what);

/// A whole small file; more than `limit` bytes is an Error.
Bytes read_file(const std::filesystem::path& path, std::size_t limit);
/// Replaces `path` atomically and durably: temporary file beside it, fsync, rename, fsync of the
/// folder. For our own local state only; repositories never overwrite.
void replace_file(const std::filesystem::path& path, ByteView bytes, mode_t mode = 0600);

/// Reads a descriptor it owns from its present position.
class FdSource final : public ByteSource {
public:
    FdSource(Fd fd, std::string what) : fd_(std::move(fd)), what_(std::move(what)) {}
    std::size_t read(ByteSpan into) override { return read_some(fd_.get(), into, what_); }

private:
    Fd fd_;
    std::string what_;
};

/// Writes a descriptor it owns; finish() makes the bytes durable.
class FdSink final : public ByteSink {
public:
    FdSink(Fd fd, std::string what) : fd_(std::move(fd)), what_(std::move(what)) {}
    void write(ByteView bytes) override { write_full(fd_.get(), bytes, what_); }
    void finish() override { fsync_fd(fd_.get(), what_); }

private:
    Fd fd_;
    std::string what_;
};

} // namespace tidemark::base
