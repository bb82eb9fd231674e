#include "store/posix_writer.h"

#include "base/check.h"
#include "base/random.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

namespace tidemark::store {

using base::Code;
using base::Error;
using base::Fd;

namespace {

constexpr std::string_view kTemporaryPrefix = "new-";
constexpr std::size_t kBuffer = 512 << 10;
/// How much may wait in the kernel's cache, so that the sync at the end is short.
constexpr std::uint64_t kWritebackStep = 8 << 20;
/// And how long, so that a slow writer can tell how far it is.
constexpr std::chrono::milliseconds kWritebackPause{500};

std::string temporary_name()
{
    std::array<std::byte, 12> random = {};
    base::SystemRandom{}.fill(random);
    return fmt::format("{}{}-{}", kTemporaryPrefix, ::getpid(), base::to_hex(random));
}

bool no_hard_links(int code)
{
    return code == EPERM || code == EOPNOTSUPP || code == ENOSYS || code == EMLINK;
}

} // namespace

bool is_temporary_name(std::string_view name)
{
    return name.starts_with(kTemporaryPrefix);
}

PosixWriter::PosixWriter(std::shared_ptr<PosixTree> tree, std::string key)
    : tree_(std::move(tree)), key_(std::move(key)), folder_(tree_->temporary_folder()),
      name_(temporary_name())
{
    file_ = Fd{::openat(folder_.get(), name_.c_str(),
                        O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                        tree_->options().file_mode)};
    if (!file_) throw tree_->error("create", key_, errno);
    try {
        tree_->adopt(file_.get(), key_);
    } catch (...) {
        remove_temporary();
        throw;
    }
    if (tree_->reads_back()) hash_.emplace();
    // Tells those who clear away leftovers that we live. Where locks do not work age alone decides.
    ::flock(file_.get(), LOCK_EX | LOCK_NB);
}

PosixWriter::~PosixWriter()
{
    if (!name_.empty()) remove_temporary();
}

void PosixWriter::remove_temporary() noexcept
{
    ::unlinkat(folder_.get(), name_.c_str(), 0);
    name_.clear();
}

void PosixWriter::write(base::ByteView bytes)
{
    CHECK(state_ != State::ended);
    if (buffer_.size() + bytes.size() < kBuffer) {
        buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
        return;
    }
    write_through(buffer_);
    buffer_.clear();
    if (bytes.size() >= kBuffer) {
        write_through(bytes);
    } else {
        buffer_.assign(bytes.begin(), bytes.end());
    }
}

void PosixWriter::write_through(base::ByteView bytes)
{
    if (state_ == State::broken) {
        throw Error{Code::failed, fmt::format("{} was not written: an earlier write failed", key_)};
    }
    state_ = State::broken;
    if (int code = base::try_write_full(file_.get(), bytes); code != 0) {
        throw tree_->error("write", key_, code);
    }
    if (hash_) hash_->update(bytes);
    written_ += bytes.size();
    auto now = std::chrono::steady_clock::now();
    if (written_ - started_ >= kWritebackStep || now - stepped_ >= kWritebackPause) {
        start_writeback();
        stepped_ = now;
    }
    state_ = State::open;
}

void PosixWriter::start_writeback()
{
    // What was begun a step ago is mostly there by now.
    sync_range(durable_, started_,
               SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
    durable_ = started_;
    sync_range(started_, written_, SYNC_FILE_RANGE_WRITE);
    started_ = written_;
}

/// Where the kernel does not know how, the sync at the end does it all.
void PosixWriter::sync_range(std::uint64_t from, std::uint64_t to, unsigned flags)
{
    if (from == to) return; // a length of 0 would mean: to the end
    int result = ::sync_file_range(file_.get(), static_cast<off_t>(from),
                                   static_cast<off_t>(to - from), flags);
    if (result != 0 && errno != EINVAL && errno != ENOSYS && errno != ESPIPE) {
        throw tree_->error("write", key_, errno);
    }
}

Created PosixWriter::commit()
{
    CHECK(state_ != State::ended);
    write_through(buffer_);
    buffer_ = {};
    state_ = State::ended;
    // A failed fsync is final: the kernel may have thrown the pages away, a second one proves
    // nothing.
    if (::fsync(file_.get()) != 0) throw tree_->error("make durable", key_, errno);
    durable_ = written_;
    if (hash_) read_back();
    return place(tree_->make(key_));
}

void PosixWriter::read_back()
{
    // What is dropped from the cache has to come from the server; what another one opens is asked
    // for anew (NFS's close-to-open).
    ::posix_fadvise(file_.get(), 0, 0, POSIX_FADV_DONTNEED);
    Fd again{::openat(folder_.get(), name_.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC)};
    if (!again) throw tree_->error("read back", key_, errno);
    stream::Sha256 hash;
    std::uint64_t length = 0;
    base::Bytes buffer(kBuffer);
    while (true) {
        ssize_t got = ::read(again.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw tree_->error("read back", key_, errno);
        if (got == 0) break;
        length += static_cast<std::uint64_t>(got);
        hash.update({buffer.data(), static_cast<std::size_t>(got)});
    }
    if (length == written_ && hash.digest() == hash_->digest()) return;
    throw Error{Code::repository_unreachable,
                fmt::format("{} was written to {} without an error, and other bytes were read back",
                            key_, tree_->root().native()),
                {.hint = "the network file system or what is behind it loses data: nothing was "
                         "stored; see to it before you trust what it holds (tidemark verify)"}};
}

Created PosixWriter::place(const Place& target)
{
    int code = 0;
    Created result = link_or_rename(target, code);
    if (code == EINVAL || code == ENOSYS || code == EOPNOTSUPP) {
        throw Error{
            Code::repository_unreachable,
            fmt::format("the file system of {} can neither link files nor rename them without "
                        "replacing others",
                        tree_->root().native()),
            {.hint = "choose another file system: without this two jobs could overwrite each "
                     "other's objects"}};
    }
    if (code != 0) throw tree_->error("create", key_, code);
    if (result == Created::already_there) {
        auto info = tree_->look(target, key_);
        if (info && S_ISDIR(info->st_mode)) {
            throw Error{Code::usage,
                        fmt::format("{} cannot be an object and a folder at once", key_)};
        }
    }
    // Also for the loser of a race: it will rely on the winner's object, whose folder the winner
    // may not have synced yet.
    if (::fsync(target.folder.get()) != 0)
        throw tree_->error("make durable the folder of", key_, errno);
    return result;
}

/// `error` is 0, or the errno of what went wrong.
Created PosixWriter::link_or_rename(const Place& target, int& error)
{
    error = 0;
    const char* name = target.name.c_str();
    if (::linkat(folder_.get(), name_.c_str(), target.folder.get(), name, 0) == 0) {
        remove_temporary();
        return Created::yes;
    }
    error = errno;
    if (no_hard_links(error)) {
        error = 0;
        if (::renameat2(folder_.get(), name_.c_str(), target.folder.get(), name,
                        RENAME_NOREPLACE) == 0) {
            name_.clear();
            return Created::yes;
        }
        error = errno;
    }
    if (error != EEXIST) return Created::already_there;
    error = 0;
    // Over NFS the answer to a link that worked can get lost; its repetition then finds itself.
    struct stat ours = {};
    struct stat there = {};
    if (::fstat(file_.get(), &ours) == 0 &&
        ::fstatat(target.folder.get(), name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
        ours.st_ino == there.st_ino && ours.st_dev == there.st_dev) {
        remove_temporary();
        return Created::yes;
    }
    return Created::already_there;
}

} // namespace tidemark::store
