#pragma once

#include "base/bytes.h"
#include "model/log_position.h"

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>

namespace tidemark::engine {

/// The log of one member as the server sends it, from one position on, without a gap.
class LogSource {
public:
    struct Chunk {
        model::Offset at = 0;
        base::ByteView bytes; ///< valid until the next call
    };
    /// Where the epoch being streamed was left for the next one.
    struct Switch {
        model::Epoch next = 0;
        model::Offset at = 0;
    };

    virtual ~LogSource() = default;
    virtual model::Epoch epoch() const = 0;
    /// The next bytes; empty at the deadline or when the epoch has ended (see switched()).
    /// Answers the server's keepalives with the last confirmed position while it waits.
    virtual std::optional<Chunk> next(std::chrono::steady_clock::time_point deadline,
                                      std::stop_token stop) = 0;
    /// Set once the server has ended this epoch and everything up to the switch was delivered.
    virtual std::optional<Switch> switched() const = 0;
    /// The server is stopping and waits until everything it sent is confirmed: next() returned
    /// early for it. Whoever can make the rest durable and confirm it does so now; otherwise the
    /// stream is soon given up (member_unreachable, transient), so that the server can stop. It
    /// waits no more once the last byte that it sent is confirmed.
    virtual bool server_waits() const { return false; }
    /// The server's flush position as last heard.
    virtual model::Offset server_end() const = 0;
    /// Log up to `durable` is safe in the repository: the server may recycle it (rules.md 15).
    virtual void confirm(model::Offset durable) = 0;
    /// Sends the last confirmation and closes; returns the slot's restart position read back.
    virtual std::optional<model::Offset> finish() = 0;
};

} // namespace tidemark::engine
