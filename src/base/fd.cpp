#include "base/fd.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace tidemark::base {

namespace {

/// Repeats a call that a signal interrupted.
template <typename Call> auto uninterrupted(Call&& call)
{
    while (true) {
        auto result = call();
        if (result >= 0 || errno != EINTR) return result;
    }
}

[[noreturn]] void fail(std::string_view doing, std::string_view what)
{
    int code = errno;
    throw system_error(fmt::format("cannot {} {}", doing, what), code);
}

} // namespace

Fd& Fd::operator=(Fd&& other) noexcept
{
    if (this != &other) {
        reset();
        fd_ = other.release();
    }
    return *this;
}

int Fd::release() noexcept
{
    return std::exchange(fd_, -1);
}

void Fd::reset() noexcept
{
    // Linux frees the descriptor even when close() reports EINTR or EIO: closing again could hit
    // another thread's file.
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Fd open_file(const std::filesystem::path& path, int flags, mode_t mode)
{
    int fd = uninterrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, mode); });
    if (fd < 0) fail("open", path.native());
    return Fd{fd};
}

Fd open_read(const std::filesystem::path& path)
{
    return open_file(path, O_RDONLY);
}

Fd open_directory_fd(const std::filesystem::path& path)
{
    return open_file(path, O_RDONLY | O_DIRECTORY);
}

std::size_t read_some(int fd, ByteSpan into, std::string_view what)
{
    ssize_t got = uninterrupted([&] { return ::read(fd, into.data(), into.size()); });
    if (got < 0) fail("read", what);
    return static_cast<std::size_t>(got);
}

std::size_t read_full(int fd, ByteSpan into, std::string_view what)
{
    std::size_t done = 0;
    while (done < into.size()) {
        std::size_t got = read_some(fd, into.subspan(done), what);
        if (got == 0) break;
        done += got;
    }
    return done;
}

std::size_t pread_full(int fd, ByteSpan into, std::uint64_t offset, std::string_view what)
{
    std::size_t done = 0;
    while (done < into.size()) {
        ssize_t got = uninterrupted([&] {
            return ::pread(fd, into.data() + done, into.size() - done,
                           static_cast<off_t>(offset + done));
        });
        if (got < 0) fail("read", what);
        if (got == 0) break;
        done += static_cast<std::size_t>(got);
    }
    return done;
}

int try_write_full(int fd, ByteView bytes) noexcept
{
    while (!bytes.empty()) {
        ssize_t done = uninterrupted([&] { return ::write(fd, bytes.data(), bytes.size()); });
        if (done < 0) return errno;
        bytes = bytes.subspan(static_cast<std::size_t>(done));
    }
    return 0;
}

void write_full(int fd, ByteView bytes, std::string_view what)
{
    if (int error = try_write_full(fd, bytes); error != 0) {
        throw system_error(fmt::format("cannot write {}", what), error);
    }
}

void pwrite_full(int fd, ByteView bytes, std::uint64_t offset, std::string_view what)
{
    std::size_t done = 0;
    while (done < bytes.size()) {
        ssize_t wrote = uninterrupted([&] {
            return ::pwrite(fd, bytes.data() + done, bytes.size() - done,
                            static_cast<off_t>(offset + done));
        });
        if (wrote < 0) fail("write", what);
        done += static_cast<std::size_t>(wrote);
    }
}

void fsync_fd(int fd, std::string_view what)
{
    if (::fsync(fd) != 0) fail("make durable", what);
}

void fsync_directory(const std::filesystem::path& path)
{
    Fd directory = open_directory_fd(path);
    fsync_fd(directory.get(), path.native());
}

std::uint64_t file_size(int fd, std::string_view what)
{
    struct stat info = {};
    if (::fstat(fd, &info) != 0) fail("examine", what);
    return static_cast<std::uint64_t>(info.st_size);
}

Bytes read_file(const std::filesystem::path& path, std::size_t limit)
{
    FdSource source{open_read(path), path.native()};
    return with_context(path.native(), [&] { return read_all(source, limit); });
}

void replace_file(const std::filesystem::path& path, ByteView bytes, mode_t mode)
{
    std::string temporary = path.native() + ".XXXXXX";
    Fd file{::mkostemp(temporary.data(), O_CLOEXEC)};
    if (!file) fail("create", temporary);
    try {
        if (::fchmod(file.get(), mode) != 0) fail("set the mode of", temporary);
        write_full(file.get(), bytes, temporary);
        fsync_fd(file.get(), temporary);
        if (::rename(temporary.c_str(), path.c_str()) != 0) fail("rename to", path.native());
    } catch (...) {
        ::unlink(temporary.c_str());
        throw;
    }
    fsync_directory(path.has_parent_path() ? path.parent_path() : ".");
}

} // namespace tidemark::base
