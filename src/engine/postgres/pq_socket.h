#pragma once

#include "engine/postgres/pq.h"

namespace tidemark::engine::postgres {

/// An event descriptor that a stop request makes readable.
class WakeFd {
public:
    WakeFd();
    WakeFd(const WakeFd&) = delete;
    WakeFd& operator=(const WakeFd&) = delete;
    ~WakeFd();
    int fd() const { return fd_; }
    void wake() const noexcept;
    void clear() const noexcept;

private:
    int fd_;
};

enum class Ready { ready, timeout, stopped };

/// Waits until `fd` shows one of `events` (poll's), the deadline or a stop request.
Ready wait_socket(int fd, short events, const Wait& wait, const WakeFd& wake);

} // namespace tidemark::engine::postgres
