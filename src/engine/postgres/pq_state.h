#pragma once

#include "engine/postgres/pq.h"
#include "engine/postgres/pq_socket.h"

#include <algorithm>
#include <libpq-fe.h>

namespace tidemark::engine::postgres {

/// Inside of a Connection; only the wrapper itself includes this.
struct Connection::State {
    struct Close {
        void operator()(PGconn* handle) const { PQfinish(handle); }
    };
    struct FreeCopy {
        void operator()(char* memory) const { PQfreemem(memory); }
    };
    std::unique_ptr<PGconn, Close> conn;
    std::unique_ptr<char, FreeCopy> copy;
    WakeFd wake;
    std::string where;
    std::string secret; ///< the password, only to be able to hide it
    std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();

    Ready wait_for(short events, const Wait& wait) const
    {
        return wait_socket(PQsocket(conn.get()), events,
                           {.deadline = std::min(wait.deadline, deadline), .stop = wait.stop},
                           wake);
    }
    bool broken = false;
};

} // namespace tidemark::engine::postgres
