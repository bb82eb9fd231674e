#pragma once

#include "job/context.h"
#include "job/index_maker.h"
#include "job/known_log.h"
#include "model/backup_set.h"
#include "model/identity.h"
#include "model/member_identity.h"
#include "repo/log_reader.h"
#include "repo/log_writer.h"
#include "repo/piece.h"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace tidemark::job {

/// The log backup of one member: from the server's slot into pieces of the repository. One thread
/// at a time; the lease "log" is held by the caller.
class LogReceiver {
public:
    LogReceiver(const Context& context, const model::MemberSpec& member, engine::Session& session,
                const repo::Lease& lease);

    /// Makes sure that the server is the one whose log is stored and that the log goes on without a
    /// gap (rules.md 13, 14), then starts streaming. Errors: identity_mismatch, log_gap.
    void open(std::stop_token stop);

    /// Receives until the log up to `target` is durable in the repository; the server is told of
    /// nothing else. Not there at the deadline is Error{mark_not_placed}.
    void advance(model::Offset target, std::chrono::steady_clock::time_point deadline,
                 std::stop_token stop);

    /// Goes on receiving until `enough` says so: a server whose stream
    /// nobody serves could not stop. What came is stored when a piece is full or ten seconds
    /// old, or the server waits for it, otherwise by the next advance().
    void keep_up(const std::function<bool()>& enough, std::stop_token stop);

    /// Sends the last confirmation and closes the stream. Warns when the slot then stands where we
    /// have not moved it.
    void finish();

    model::LogPosition durable() const;
    const model::History& history() const { return history_; }
    const model::Identity& identity() const { return identity_; }
    const model::MemberIdentity& recorded() const { return recorded_; }
    /// The catalogue, with what this run added.
    const repo::LogCatalog& catalog() const { return catalog_; }
    /// Pieces written by this run.
    const std::vector<model::PieceRef>& pieces() const { return refs_; }
    std::uint64_t received_bytes() const { return received_; }

private:
    void check_identity();
    void go_on(const repo::LogChain& chain, std::optional<model::Offset> restart,
               std::stop_token stop);
    void warn_of_switch(const engine::LogSource::Switch& next) const;
    void start_stream(const model::LogPosition& from, std::optional<model::LogPosition> stored_end);
    void start_decoder(const model::LogPosition& end);
    void warn_of_unread(const model::LogIndex& index);
    void take(const engine::LogSource::Chunk& chunk);
    void compare(model::Offset at, base::ByteView bytes);
    model::Offset received_to() const { return piece_ ? piece_->end() : durable_; }
    repo::PieceInfo piece_info() const;
    void store_piece();
    void store_full_or_old_piece();
    bool receive(std::chrono::steady_clock::time_point deadline, std::stop_token stop);
    void follow_switch(std::stop_token stop);

    const Context& context_;
    const model::MemberSpec& member_;
    engine::Session& session_;
    const repo::Lease& lease_;
    model::MemberId id_;
    model::Identity identity_;
    model::MemberIdentity recorded_;
    model::History history_;
    repo::LogCatalog catalog_;
    std::optional<repo::LogWriter> writer_;
    std::unique_ptr<engine::LogSource> source_;
    std::optional<IndexMaker> decoder_;
    model::Offset durable_ = 0; ///< end of what is stored
    /// What the server kept from on when we came; past durable_ where log that a new chain begins
    /// with is not stored yet.
    model::Offset slot_at_open_ = 0;
    std::optional<repo::PieceBuilder> piece_; ///< bytes after that
    std::chrono::steady_clock::time_point piece_began_;
    KnownLog known_; ///< that the server is about to send again
    std::vector<model::PieceRef> refs_;
    std::uint64_t received_ = 0;
    std::uint64_t stored_ = 0; ///< of these, what is durable
};

} // namespace tidemark::job
