#pragma once

#include "engine/engine.h"
#include "job/context.h"
#include "model/log_position.h"
#include "model/member_identity.h"
#include "repo/log_catalog.h"

#include <map>
#include <optional>
#include <string>

namespace tidemark::job {

/// Error{identity_mismatch} with the next step.
[[noreturn]] void throw_other_history(const std::string& why);

/// As the server tells it, compared with nothing; without ancestors where it has no history file.
model::History server_history(engine::Session& session, model::Epoch epoch);

struct ServerHistory {
    struct File {
        std::string text;
        bool replaces = false; ///< another one, to which nothing in the repository belongs
    };
    model::History history;
    /// Its history files that the repository does not hold, as the server has them.
    std::map<model::Epoch, File> files = {};
};

/// The server's history of `epoch`, compared with every history file that is stored for the member.
/// A difference is Error{identity_mismatch}, unless nothing is stored of that other timeline: then
/// a server that was never backed up left the file (older programs stored it first). Stores
/// nothing: any server that answers at the url can say this much, and a stored history is for ever.
ServerHistory compare_history(const Context& context, const model::MemberId& id,
                              engine::Session& session, model::Epoch epoch);

/// Stores what is new of it, before any log of that epoch (rules.md 13, 14): once the server is
/// known to be the member's, by its slot and by the bytes of its log.
void store_histories(const Context& context, const model::MemberId& id,
                     const ServerHistory& server);

/// Stores damaged history files anew from the server's, whose log has been compared with ours.
void mend_histories(const Context& context, const model::MemberId& id, engine::Session& session,
                    const model::History& history);

/// The newest stored log must lie on the server's history, or on a tail that the history left:
/// otherwise this is an old primary that came back, or another restore of the same cluster.
/// Error{identity_mismatch}.
void require_branch(const repo::LogCatalog& catalog, const model::MemberIdentity& recorded,
                    const model::History& history);

/// A server only sends what is durable there, so its log never gets shorter by itself: one that
/// ends before `stored` is Error{identity_mismatch}.
void refuse_one_set_back(engine::Session& session, const model::LogPosition& stored);

/// What the server may be told of log that is stored up to `durable`: where that is the end of a
/// segment, one byte less, so that this segment is still there to be compared when we come again.
/// Only a server that waits for its last byte is told that one (LogSource::server_waits).
model::Offset confirmable(model::Offset durable, std::uint32_t segment_size);

/// `restart`: where our slot stood when the stream was closed (rules.md 15); `ours`: how far it can
/// have come by us. A warning when it is past that. Below is no news: a confirmation may not have
/// reached a server that has ended the stream by itself.
void warn_if_moved(const Context& context, const std::string& member,
                   std::optional<model::Offset> restart, model::Offset ours);

/// The server no longer has the segment that ends with the stored log, so nothing of it can be
/// compared. Error{identity_mismatch} unless nobody promised to keep it: the slot was made anew
/// just there, or belongs to a server that was failed over to (whose history file was compared).
/// With a warning also where the slot keeps (`restart`) log from `end` on only, as one does that an
/// older program advanced, that a run made which died before it recorded the new chain, or whose
/// server waited for its last byte to be confirmed just there.
struct Uncompared {
    const model::LogPosition& end;
    std::optional<model::Offset> restart;
    const model::MemberIdentity& recorded;
    const model::History& history;
};
void require_uncompared(const Context& context, const std::string& member, const Uncompared& log);

} // namespace tidemark::job
