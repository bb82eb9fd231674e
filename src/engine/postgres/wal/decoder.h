#pragma once

#include "engine/engine.h"
#include "engine/postgres/wal/reader.h"

#include <bitset>
#include <memory>

namespace tidemark::engine::postgres::wal {

/// Builds the index of a PostgreSQL log: reads every record, keeps what marks, audits and restores
/// need, and cuts it into ranges where the caller does. A record belongs to the range in which it
/// ends (rules.md 12).
///
/// To go on in another process, begin at `unfinished` of the last index, or at its range's end
/// where that is empty.
class IndexBuilder final : public LogDecoder, private RecordVisitor {
public:
    /// Errors: Error{member_not_ready} for a version that is not 13 to 18; Error{failed} for a
    /// start at which nothing can begin.
    explicit IndexBuilder(const DecoderStart& start);

    /// Errors: Error{log_gap} for bytes that do not follow, Error{identity_mismatch} for the log of
    /// another cluster or timeline, Error{failed} for everything else that is broken, zeros
    /// included: a log that is stored or sent has none.
    void feed(model::Offset at, base::ByteView bytes) override;
    /// The range that ends at the last byte fed.
    model::LogIndex take() override;
    model::Offset readable_to() const override;

private:
    void record(const Record& record) override;
    void watch_forced_flush(const Record& record);
    void add_transaction(const Record& record);
    void add_end(const Record& record, bool committed, base::Time at);
    void add_log_record(const Record& record);
    void add_tablespace(const Record& record);
    void add_manager_notice(const Record& record);
    void add_notice(model::LogNoticeKind kind, const Record& record, std::string detail);
    void add_time(const model::TimePoint& point);

    model::Epoch epoch_;
    bool every_time_;
    LogIdentity identity_;
    model::Offset range_from_;
    model::LogIndex index_;
    std::optional<model::TimePoint> latest_time_; ///< not in index_.times yet
    std::bitset<256> noticed_managers_;           ///< in this range
    std::optional<model::Offset> malformed_;      ///< a record whose data are not what it says
    std::optional<std::uint32_t> forcing_;        ///< xid of a transaction that is ours so far
    WalReader reader_;
};

} // namespace tidemark::engine::postgres::wal
