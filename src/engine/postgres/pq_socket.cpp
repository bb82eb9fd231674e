#include "engine/postgres/pq_socket.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace tidemark::engine::postgres {

WakeFd::WakeFd() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC))
{
    if (fd_ < 0) throw base::system_error("eventfd", errno);
}

WakeFd::~WakeFd()
{
    ::close(fd_);
}

void WakeFd::wake() const noexcept
{
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(fd_, &one, sizeof one);
}

void WakeFd::clear() const noexcept
{
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got = ::read(fd_, &count, sizeof count);
}

Ready wait_socket(int fd, short events, const Wait& wait, const WakeFd& wake)
{
    if (wait.stop.stop_requested()) return Ready::stopped;
    if (fd < 0) return Ready::ready; // libpq will report what is wrong
    const std::stop_callback on_stop(wait.stop, [&wake] { wake.wake(); });
    std::array<pollfd, 2> fds{{{.fd = fd, .events = events, .revents = 0},
                               {.fd = wake.fd(), .events = POLLIN, .revents = 0}}};
    while (true) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(
            wait.deadline - std::chrono::steady_clock::now());
        const int timeout =
            static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, std::int64_t{3600} * 1000));
        const int count = ::poll(fds.data(), fds.size(), timeout);
        if (count < 0 && errno != EINTR) throw base::system_error("poll", errno);
        if (wait.stop.stop_requested()) {
            wake.clear();
            return Ready::stopped;
        }
        if (count > 0 && fds[0].revents != 0) return Ready::ready;
        if (count > 0) wake.clear();
        if (std::chrono::steady_clock::now() >= wait.deadline) return Ready::timeout;
    }
}

} // namespace tidemark::engine::postgres
