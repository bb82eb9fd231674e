#include "job/line_server.h"

#include "base/error.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace tidemark::job {

using std::chrono::steady_clock;

namespace {

/// At once; more push out the first of them.
constexpr std::size_t kMostClients = 16;
/// Nobody is pushed out before: who connects sends its line right away, and a crowd that comes anew
/// all the time must not be quicker than that.
constexpr std::chrono::milliseconds kGrace{100};

} // namespace

LineServer::LineServer(base::Fd listener, const Options& options, Answer answer)
    : listener_(std::move(listener)), options_(options), answer_(std::move(answer)),
      wake_(::eventfd(0, EFD_CLOEXEC))
{
    if (!wake_) throw base::system_error("cannot make an eventfd", errno);
    thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
}

LineServer::~LineServer()
{
    thread_.request_stop();
    std::uint64_t one = 1;
    [[maybe_unused]] auto ignored = ::write(wake_.get(), &one, sizeof one);
    if (thread_.joinable()) thread_.join();
}

void LineServer::serve(const std::stop_token& stop)
{
    while (!stop.stop_requested() && wait()) {
        // Nothing here blocks but the answers, so all are tried.
        for (auto client = clients_.begin(); client != clients_.end() && !stop.stop_requested();)
            client = is_done(*client) ? clients_.erase(client) : std::next(client);
        admit();
    }
}

/// Until there is something to do.
bool LineServer::wait()
{
    auto now = steady_clock::now();
    std::vector<pollfd> waits{{wake_.get(), POLLIN, 0}};
    int timeout = -1;
    auto wake_at = [&](steady_clock::time_point at) {
        auto left = std::chrono::ceil<std::chrono::milliseconds>(std::max(at, now) - now);
        auto count = static_cast<int>(left.count());
        timeout = timeout < 0 ? count : std::min(timeout, count);
    };
    if (has_room(now))
        waits.push_back({listener_.get(), POLLIN, 0});
    else
        wake_at(clients_.front().since + kGrace);
    for (const auto& client : clients_) {
        waits.push_back({client.socket.get(), POLLIN, 0});
        wake_at(client.since + options_.patience);
    }
    return ::poll(waits.data(), waits.size(), timeout) >= 0 || errno == EINTR;
}

bool LineServer::has_room(steady_clock::time_point now) const
{
    return clients_.size() < kMostClients || clients_.front().since + kGrace <= now;
}

void LineServer::admit()
{
    for (auto now = steady_clock::now(); has_room(now); now = steady_clock::now()) {
        base::Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!socket) return;
        if (clients_.size() >= kMostClients) {
            is_done(clients_.front()); // its line may have come this very moment
            clients_.erase(clients_.begin());
        }
        clients_.push_back({std::move(socket), {}, now});
    }
}

/// Reads what is there, and answers once it is a line. What has come is read before the time is
/// looked at: another one's answer may have taken long.
bool LineServer::is_done(Client& client)
{
    std::array<char, 256> part;
    while (true) {
        auto got = ::recv(client.socket.get(), part.data(), part.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN)
            return steady_clock::now() >= client.since + options_.patience;
        if (got <= 0) return true; // it went away
        client.line.append(part.data(), static_cast<std::size_t>(got));
        auto end = client.line.find('\n');
        if (end == std::string::npos && client.line.size() <= options_.longest) continue;
        auto text = answer_(client.line.substr(0, end));
        // A line is shorter than any socket's buffer; who has filled it goes without.
        [[maybe_unused]] auto sent =
            ::send(client.socket.get(), text.data(), text.size(), MSG_NOSIGNAL);
        return true;
    }
}

} // namespace tidemark::job
