#include "integration/postgres/fake_server.h"

#include "base/error.h"

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <netinet/in.h>
#include <poll.h>
#include <string_view>
#include <sys/socket.h>
#include <vector>

namespace tidemark::test {

namespace {

std::string big32(std::uint32_t value)
{
    std::string out;
    for (int shift = 24; shift >= 0; shift -= 8)
        out += static_cast<char>(value >> shift & 0xffU);
    return out;
}

std::string message(char type, const std::string& body)
{
    return type + big32(static_cast<std::uint32_t>(body.size() + 4)) + body;
}

std::string status(const std::string& name, const std::string& value)
{
    return message('S', name + '\0' + value + '\0');
}

bool wait_readable(int fd, const std::stop_token& stop)
{
    while (!stop.stop_requested()) {
        pollfd one{.fd = fd, .events = POLLIN, .revents = 0};
        if (::poll(&one, 1, 20) > 0) return true;
    }
    return false;
}

} // namespace

FakePostgres::FakePostgres(Play play)
    : play_(play), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))
{
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_.get(), generic, size) != 0 || ::listen(listener_.get(), 5) != 0 ||
        ::getsockname(listener_.get(), generic, &size) != 0)
        throw base::system_error("fake server", errno);
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
}

FakePostgres::~FakePostgres() = default;

std::string FakePostgres::url() const
{
    return "postgresql://tidemark:canary@127.0.0.1:" + std::to_string(port_) +
           "/postgres?sslmode=disable&gssencmode=disable";
}

void FakePostgres::serve(std::stop_token stop) const
{
    std::vector<base::Fd> open;
    while (wait_readable(listener_.get(), stop)) {
        open.emplace_back(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        const int fd = open.back().get();
        if (play_ == Play::silence || !wait_readable(fd, stop)) continue;
        std::array<char, 4096> buffer{};
        [[maybe_unused]] auto startup = ::recv(fd, buffer.data(), buffer.size(), 0);
        std::string hello = message('R', big32(0)) + status("server_version", "15.4") +
                            status("client_encoding", "UTF8") +
                            status("standard_conforming_strings", "on") +
                            message('K', big32(4711) + big32(42)) + message('Z', "I");
        [[maybe_unused]] auto sent = ::send(fd, hello.data(), hello.size(), MSG_NOSIGNAL);
        if (!wait_readable(fd, stop)) continue;
        startup = ::recv(fd, buffer.data(), buffer.size(), 0);
        const std::string no_name = std::string("pid") + '\0';
        const std::string column = big32(0) + std::string(2, '\0') + big32(23) +
                                   std::string("\0\4", 2) + big32(0xffffffffU) +
                                   std::string(2, '\0');
        const std::string answer = message('T', std::string("\0\1", 2) + no_name + column) +
                                   message('D', std::string("\0\1", 2) + big32(3) + "999") +
                                   message('C', std::string("SELECT 1") + '\0') + message('Z', "I");
        sent = ::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
    }
}

} // namespace tidemark::test
