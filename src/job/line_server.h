#pragma once

#include "base/fd.h"

#include <chrono>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace tidemark::job {

/// Answers the clients of a socket: each sends one line and gets one back. They are not trusted:
/// none keeps another one waiting by saying nothing, nor the end of the server. Many who say
/// nothing do not either: who comes pushes out whoever has let others wait longest.
class LineServer {
public:
    /// Called on one thread, for one client after the other; must not throw. The line comes without
    /// its end; one that is too long is cut, and still longer than `longest`.
    using Answer = std::function<std::string_view(const std::string& line)>;
    struct Options {
        std::size_t longest = 0;            ///< a line may be, in bytes
        std::chrono::milliseconds patience; ///< with a client whose line is not complete
    };

    /// `listener` listens and does not block.
    LineServer(base::Fd listener, const Options& options, Answer answer);
    /// Waits for the answer under way, for no client.
    ~LineServer();
    LineServer(const LineServer&) = delete;
    LineServer& operator=(const LineServer&) = delete;

private:
    struct Client {
        base::Fd socket;  ///< does not block
        std::string line; ///< not complete
        std::chrono::steady_clock::time_point since;
    };

    void serve(const std::stop_token& stop);
    bool wait();
    bool has_room(std::chrono::steady_clock::time_point now) const;
    void admit();
    bool is_done(Client& client);

    base::Fd listener_;
    Options options_;
    Answer answer_;
    base::Fd wake_;
    std::vector<Client> clients_; ///< of the thread; who came first stands first
    std::jthread thread_;
};

} // namespace tidemark::job
