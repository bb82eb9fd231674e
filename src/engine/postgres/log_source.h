#pragma once

#include "engine/engine.h"
#include "engine/log_source.h"
#include "engine/postgres/pq.h"

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace tidemark::engine::postgres {

struct LogSourceOptions {
    /// The server ends the connection when it hears nothing from us for this long; we speak at
    /// least three times as often. Overrides the server's wal_sender_timeout for this connection.
    /// And when nobody calls next() for this long, we hang up: a wal sender whose socket is full
    /// cannot even be ended by the server, and a checkpoint that invalidates its slot would wait
    /// for it without end.
    std::chrono::milliseconds sender_timeout = std::chrono::seconds{60};
    /// How long a server that wants to stop waits for our last confirmation before we hang up.
    std::chrono::milliseconds stopping_grace = std::chrono::seconds{5};
    /// For connecting, and for closing in finish().
    std::chrono::milliseconds patience = std::chrono::seconds{30};
};

/// START_REPLICATION ... PHYSICAL over COPY BOTH, from the member's slot when it has one.
/// Errors of open and next: log_gap (the log is gone or the slot lost), identity_mismatch (the
/// position is not in this server's history), member_not_ready (the slot is in use; transient),
/// member_unreachable (transient).
class PostgresLogSource final : public LogSource {
public:
    static std::unique_ptr<PostgresLogSource> open(const MemberConfig& member,
                                                   const model::LogPosition& from,
                                                   const LogSourceOptions& options = {});

    model::Epoch epoch() const override { return epoch_; }
    std::optional<Chunk> next(std::chrono::steady_clock::time_point deadline,
                              std::stop_token stop) override;
    std::optional<Switch> switched() const override { return switched_; }
    bool server_waits() const override { return waits_since_.has_value(); }
    model::Offset server_end() const override { return server_end_; }
    void confirm(model::Offset durable) override;
    std::optional<model::Offset> finish() override;

private:
    PostgresLogSource(const MemberConfig& member, Connection connection,
                      const LogSourceOptions& options);
    void start(const model::LogPosition& from);
    std::optional<Chunk> take(base::ByteView message);
    void end_of_epoch();
    void answer_request();
    void give_up_if_stopping();
    void watch(const std::stop_token& stop);
    void send_status();
    Wait patience() const { return Wait::within(options_.patience); }

    MemberConfig member_;
    Connection connection_;
    LogSourceOptions options_;
    std::chrono::steady_clock::time_point status_due_;
    std::chrono::steady_clock::time_point status_sent_;
    model::Epoch epoch_ = 0;
    model::Offset at_ = 0;           ///< first byte not delivered yet
    model::Offset server_end_ = 0;   ///< the server's flush position as last heard
    model::Offset slot_restart_ = 0; ///< when we began; a slot must never go back
    model::Offset confirmed_ = 0;    ///< 0: nothing yet
    bool streaming_ = false;
    std::optional<Switch> switched_;
    std::optional<std::chrono::steady_clock::time_point> waits_since_;
    bool told_caller_ = false;

    std::mutex watch_mutex_; ///< guards what follows
    std::condition_variable_any watch_wake_;
    std::chrono::steady_clock::time_point last_call_;
    bool in_call_ = false;
    std::jthread watcher_; ///< last: ends before what it uses
};

} // namespace tidemark::engine::postgres
