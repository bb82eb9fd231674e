#pragma once

#include "base/clock.h"
#include "model/log_position.h"

#include <cstdint>
#include <string>

namespace tidemark::model {

/// How a prepared transaction ended, as far as the log shows.
enum class Finish : std::uint8_t {
    open = 0, ///< no end seen
    committed = 1,
    rolled_back = 2,
    unseen = 3, ///< it ended where the log has a gap: nobody knows how
    lost = 4,   ///< its prepare stood on a tail of the log that a failover abandoned (rules.md 13)
};

/// One branch instance (rules.md 1): a transaction prepared at one member. A gid may be used again,
/// so what identifies a branch is member, epoch, xid and the position of its prepare.
struct Branch {
    std::string member = {};
    Epoch epoch = 0; ///< of the prepare record; of the member's log at the time when `seeded`
    std::uint32_t xid = 0;
    std::string gid = {};
    std::string global_id = {};     ///< equal to gid when not `matched`
    bool matched = true;            ///< does the member's gid_pattern match?
    std::uint32_t database = 0;     ///< oid
    std::string database_name = {}; ///< as known at backup; empty when nobody looked
    std::uint32_t owner = 0;        ///< oid of the role
    std::string owner_name = {};
    /// Prepared before our log begins: known from pg_prepared_xacts or pg_twophase, or from a later
    /// COMMIT PREPARED that carries its gid. Its prepare has no position (0) and is inside every
    /// cut.
    bool seeded = false;
    Offset prepare_start = 0;
    Offset prepare_end = 0;
    base::Time prepared_at = {}; ///< by the member's clock
    Finish finish = Finish::open;
    Epoch finish_epoch = 0;
    Offset finish_start = 0;
    Offset finish_end = 0;
    base::Time finished_at = {}; ///< by the member's clock
    /// A COMMIT PREPARED without a known gid may be its partner's: never "rollback" any more.
    bool commit_unseen = false;
    /// Its id was used more than once, and the table does not hold what told the uses apart: they
    /// were too close, or left out, or divided by sweeps that later marks do not have.
    bool id_mixed = false;
    /// Its COMMIT PREPARED stood here, on a tail of the log that a failover abandoned: it is open
    /// again, or lost where its prepare stood there, too; but whoever asked for it may have been
    /// told that it is committed. Epoch 0: none.
    LogPosition abandoned_commit = {};

    friend bool operator==(const Branch&, const Branch&) = default;
};

/// A prepared transaction found outside the log: in pg_prepared_xacts, or in pg_twophase.
struct Seed {
    std::uint32_t xid = 0;
    std::string gid = {};
    base::Time prepared_at = {};
    std::uint32_t database = 0;
    std::string database_name = {};
    std::uint32_t owner = 0;
    std::string owner_name = {};
    /// It was listed once and no longer when the list was read again: it may have ended before our
    /// log begins, and is forgotten when the log shows no end of it.
    bool gone = false;
    friend bool operator==(const Seed&, const Seed&) = default;
};

/// The end of a prepared transaction whose prepare nobody saw (rules.md 6).
struct UnknownFinish {
    std::string member = {};
    Epoch epoch = 0;
    std::uint32_t xid = 0;
    bool committed = false;
    Offset start = 0;
    Offset end = 0;
    base::Time at = {};
    friend bool operator==(const UnknownFinish&, const UnknownFinish&) = default;
};

} // namespace tidemark::model
