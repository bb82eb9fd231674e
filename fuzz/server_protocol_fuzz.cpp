#include "base/check.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/temp_dir.h"
#include "engine/postgres/base_backup_stream.h"
#include "engine/postgres/log_source.h"
#include "engine/postgres/replication.h"

#include <poll.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>

/// A server that is not one: it lets our replication client in and then answers each command with
/// the input's next messages, up to a ReadyForQuery; after the last it hangs up. The first byte
/// chooses what we ask and which version the server claims. A message of the input is its type, a
/// length of two bytes (little-endian) and that much of contents.

namespace {

using namespace tidemark;
using namespace tidemark::engine::postgres;
using namespace std::chrono_literals;

std::string message(char type, std::string_view body)
{
    auto length = static_cast<std::uint32_t>(body.size() + 4);
    std::string out(1, type);
    for (int shift = 24; shift >= 0; shift -= 8)
        out += static_cast<char>(length >> static_cast<unsigned>(shift) & 0xffU);
    return out.append(body);
}

class ForeignServer {
public:
    ForeignServer()
    {
        listener_ = base::Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address = {};
        address.sun_family = AF_UNIX;
        std::string path = (folder_.path() / ".s.PGSQL.5432").string();
        CHECK(path.size() < sizeof address.sun_path);
        path.copy(address.sun_path, path.size());
        CHECK(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        CHECK(::listen(listener_.get(), 5) == 0);
    }

    std::string url() const
    {
        return "host=" + folder_.path().string() + " port=5432 user=u dbname=d sslmode=disable";
    }

    /// Serves one connection.
    void serve(std::string_view version, std::string_view script) const
    {
        base::Fd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!heard(client.get())) return;
        std::string name("server_version");
        tell(client.get(), message('R', std::string(4, '\0')) +
                               message('S', (name + '\0').append(version) + '\0') +
                               message('K', "\x01\x01\x01\x01\x02\x02\x02\x02") +
                               message('Z', "I"));
        while (!script.empty() && heard(client.get())) {
            std::string answer;
            for (bool last = false; !last && script.size() >= 3;) {
                std::size_t length = static_cast<unsigned char>(script[1]) +
                                     (std::size_t{static_cast<unsigned char>(script[2])} << 8U);
                auto body = script.substr(3, length);
                answer += message(script[0], body);
                last = script[0] == 'Z';
                script.remove_prefix(3 + body.size());
            }
            tell(client.get(), answer);
            if (script.size() < 3) break;
        }
        ::shutdown(client.get(), SHUT_WR);
    }

private:
    static bool heard(int fd)
    {
        pollfd one{.fd = fd, .events = POLLIN, .revents = 0};
        char buffer[4096];
        return ::poll(&one, 1, 1000) > 0 && ::recv(fd, buffer, sizeof buffer, 0) > 0;
    }
    static void tell(int fd, std::string_view bytes)
    {
        [[maybe_unused]] auto sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    }

    base::TempDir folder_;
    base::Fd listener_;
};

void ask_commands(const std::string& url)
{
    auto connection = Connection::open(url, {.replication = true, .timeout = 2s});
    identify_system(connection);
    auto text = timeline_history(connection, 3);
    if (text) model::parse_history(3, *text);
    read_replication_slot(connection, "s");
}

void stream_log(const std::string& url)
{
    engine::MemberConfig member;
    member.name = "m";
    member.url = url;
    auto source =
        PostgresLogSource::open(member, {1, 0x1000000}, {.sender_timeout = 5s, .patience = 2s});
    model::Offset at = 0x1000000;
    auto deadline = std::chrono::steady_clock::now() + 2s;
    while (auto chunk = source->next(deadline, {})) {
        CHECK(chunk->at == at);
        at += chunk->bytes.size();
        CHECK(source->server_end() >= at);
        source->confirm(at);
    }
    if (auto next = source->switched()) CHECK(next->next > 1 && next->at == at);
    source->finish();
}

void base_backup(const std::string& url)
{
    BaseBackupStream stream(url, {});
    bool begun = false;
    stream.receive([&](const SentTablespace&) { begun = true; },
                   [&](base::ByteView) { CHECK(begun); }, {});
    CHECK(stream.finish().epoch > 0 && stream.start().epoch > 0);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const ForeignServer server;
    if (size < 1 || size > 16384) return 0;
    std::string_view script(reinterpret_cast<const char*>(data) + 1, size - 1);
    std::string_view version = (data[0] & 0x80U) != 0 ? "14.2" : "16.3";
    std::jthread thread([&] { server.serve(version, script); });
    try {
        switch (data[0] % 3) {
        case 0:
            ask_commands(server.url());
            break;
        case 1:
            stream_log(server.url());
            break;
        default:
            base_backup(server.url());
        }
    } catch (const base::Error&) {
    }
    return 0;
}
