#include "engine/postgres/base_backup_stream.h"

#include "base/error.h"
#include "engine/postgres/backup_control.h"
#include "engine/postgres/replication.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <limits>

namespace tidemark::engine::postgres {

namespace {

using base::Code;
using base::Error;

/// A server that sends nothing for so long is stuck: its slowest pace, 32 kB/s, is far quicker.
constexpr std::chrono::minutes kSilenceLimit{10};

[[noreturn]] void broken(const std::string& why)
{
    throw Error{Code::failed, "the server's base backup cannot be understood: " + why};
}

model::LogPosition position_of(const Result& result)
{
    if (result.kind() != ResultKind::rows || result.rows() != 1 || result.columns() < 2) {
        broken("a position was expected");
    }
    auto epoch = result.integer(0, 1).value_or(0);
    auto offset = result.lsn(0, 0);
    if (epoch <= 0 || epoch > std::numeric_limits<model::Epoch>::max() || !offset) {
        broken("a position was expected");
    }
    return {static_cast<model::Epoch>(epoch), *offset};
}

} // namespace

std::string base_backup_command(int version_num, const BackupOptions& options)
{
    // The server takes 32 kB/s to 1 GB/s.
    auto rate = std::clamp<std::uint64_t>(options.bytes_per_second / 1024, 32, 1048576);
    bool limited = options.bytes_per_second != 0;
    auto label = Connection::literal(options.label);
    if (version_num >= 150000) {
        return fmt::format("BASE_BACKUP (LABEL {}, PROGRESS true, CHECKPOINT '{}', WAIT false, "
                           "{}TABLESPACE_MAP true, VERIFY_CHECKSUMS false)",
                           label, options.fast_checkpoint ? "fast" : "spread",
                           limited ? fmt::format("MAX_RATE {}, ", rate) : "");
    }
    return fmt::format("BASE_BACKUP LABEL {} PROGRESS {}NOWAIT {}TABLESPACE_MAP "
                       "NOVERIFY_CHECKSUMS",
                       label, options.fast_checkpoint ? "FAST " : "",
                       limited ? fmt::format("MAX_RATE {} ", rate) : "");
}

BaseBackupStream::BaseBackupStream(const std::string& url, const BackupOptions& options)
    : connection_(
          Connection::open(url, {.replication = true, .application_name = "tidemark base backup"}))
{
    auto id = identify_system(connection_).system_id;
    std::from_chars(id.data(), id.data() + id.size(), system_id_);

    auto wait = Wait::within(kCheckpointPatience);
    connection_.send(base_backup_command(connection_.server_version(), options));
    start_ = position_of(connection_.next_result(wait));
    auto spaces = connection_.next_result(wait);
    if (spaces.kind() != ResultKind::rows || spaces.columns() < 3) broken("no tablespaces");
    for (int i = 0; i < spaces.rows(); ++i) {
        tablespaces_.push_back({std::string(spaces.get(i, 0)), std::string(spaces.get(i, 1))});
        estimated_ += static_cast<std::uint64_t>(
                          std::max<std::int64_t>(spaces.integer(i, 2).value_or(0), 0)) *
                      1024;
    }
    for (const auto& space : tablespaces_) {
        if (!std::all_of(space.oid.begin(), space.oid.end(),
                         [](char c) { return c >= '0' && c <= '9'; })) {
            broken("a tablespace's number");
        }
    }
}

void BaseBackupStream::receive(const std::function<void(const SentTablespace&)>& begin,
                               const std::function<void(base::ByteView)>& data,
                               std::stop_token stop)
{
    if (connection_.server_version() >= 150000) {
        receive_messages(begin, data, std::move(stop));
    } else {
        receive_copies(begin, data, std::move(stop));
    }
}

void BaseBackupStream::expect_copy(std::stop_token stop)
{
    auto result = connection_.next_result(Wait::within(kSilenceLimit, std::move(stop)));
    if (result.kind() != ResultKind::copy_out) broken("a copy was expected");
}

std::optional<base::ByteView> BaseBackupStream::next_message(std::stop_token stop)
{
    auto read = connection_.read_copy(Wait::within(kSilenceLimit, std::move(stop)));
    switch (read.status) {
    case Connection::CopyStatus::data:
        return read.bytes;
    case Connection::CopyStatus::end:
        return std::nullopt;
    case Connection::CopyStatus::stopped:
        throw Error{Code::cancelled, "the base backup was stopped"};
    case Connection::CopyStatus::timeout:
        break;
    }
    throw Error{
        Code::member_unreachable,
        fmt::format("{} has sent nothing of its base backup for {} minutes",
                    connection_.description(), kSilenceLimit.count()),
        {.hint = "check the server and the network, then back up again", .transient = true}};
}

void BaseBackupStream::receive_copies(const std::function<void(const SentTablespace&)>& begin,
                                      const std::function<void(base::ByteView)>& data,
                                      std::stop_token stop)
{
    for (const auto& space : tablespaces_) {
        expect_copy(stop);
        begin(space);
        while (auto message = next_message(stop))
            data(*message);
    }
}

const SentTablespace& BaseBackupStream::find_tablespace(const std::string& archive) const
{
    for (const auto& space : tablespaces_) {
        if (archive == (space.oid.empty() ? "base.tar" : space.oid + ".tar")) return space;
    }
    broken(fmt::format("it holds the unknown archive {}", archive));
}

void BaseBackupStream::receive_messages(const std::function<void(const SentTablespace&)>& begin,
                                        const std::function<void(base::ByteView)>& data,
                                        std::stop_token stop)
{
    expect_copy(stop);
    bool begun = false;
    while (auto message = next_message(stop)) {
        if (message->empty()) broken("an empty message");
        auto rest = message->subspan(1);
        switch (static_cast<char>(message->front())) {
        case 'n': {
            auto text = base::as_text(rest);
            begin(find_tablespace(std::string(text.substr(0, text.find('\0')))));
            begun = true;
            break;
        }
        case 'd':
            if (!begun) broken("data before an archive");
            data(rest);
            break;
        case 'p':
            break;
        default:
            broken("an unknown message");
        }
    }
}

model::LogPosition BaseBackupStream::finish()
{
    auto wait = Wait::within(kSilenceLimit);
    auto result = connection_.next_result(wait);
    // Since 15 the one copy is followed by its own completion.
    if (result.kind() == ResultKind::command) result = connection_.next_result(wait);
    auto stop = position_of(result);
    while (connection_.next_result(wait).kind() != ResultKind::none) {
    }
    return stop;
}

} // namespace tidemark::engine::postgres
