#include "store/posix_clock.h"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace tidemark::store {

using std::chrono::duration_cast;
using std::chrono::steady_clock;

namespace {

constexpr std::chrono::seconds kFresh{10};

} // namespace

base::Time modified_time(const struct stat& info)
{
    std::chrono::nanoseconds since =
        std::chrono::seconds{info.st_mtim.tv_sec} + std::chrono::nanoseconds{info.st_mtim.tv_nsec};
    return base::Time{duration_cast<base::Duration>(since)};
}

base::Time PosixClock::now()
{
    std::lock_guard lock{mutex_};
    auto steady = steady_clock::now();
    if (!sampled_at_ || steady - *sampled_at_ >= kFresh) {
        sampled_ = sample();
        sampled_at_ = steady_clock::now();
        return sampled_;
    }
    return sampled_ + duration_cast<base::Duration>(steady - *sampled_at_);
}

base::Time PosixClock::sample()
{
    tree_->require_root();
    if (!file_) {
        try {
            base::Fd folder = tree_->temporary_folder();
            file_ = base::Fd{::openat(folder.get(), "clock",
                                      O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
                                      tree_->options().file_mode)};
            if (!file_) throw tree_->error("create", "clock", errno);
            tree_->adopt(file_.get(), "clock");
        } catch (const base::Error&) {
            // Read-only, forbidden or full: nothing can be leased there, so nothing expires by it.
            return base::SystemClock{}.now();
        }
    }
    // Without a time given, the file system (over NFS: the server) takes its own.
    struct stat info = {};
    if (::futimens(file_.get(), nullptr) != 0 || ::fstat(file_.get(), &info) != 0) {
        int code = errno;
        if (code == EROFS || code == EACCES || code == EPERM) return base::SystemClock{}.now();
        throw tree_->error("read the clock of", "", code);
    }
    return modified_time(info);
}

} // namespace tidemark::store
