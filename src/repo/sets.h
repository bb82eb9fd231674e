#pragma once

#include "model/backup_set.h"
#include "repo/lease.h"
#include "repo/log_catalog.h"
#include "repo/sequence.h"
#include "store/storage.h"

#include <optional>
#include <string>
#include <vector>

namespace tidemark::repo {

using StoredSet = Stored<model::BackupSet>;

base::Bytes encode_set(const model::BackupSet& set, const CommitHeader& header);
StoredSet decode_set(base::ByteView bytes, const model::ObjectRef& object);

/// The complete backup sets of a group.
class Sets {
public:
    Sets(store::Storage& storage, const std::string& group);

    std::vector<model::Number> numbers() const { return sequence_.numbers(); }
    /// Error{not_restorable} when it is damaged.
    std::optional<StoredSet> load(model::Number number) const;
    /// The newest that can be read; one that is damaged is named in a warning and left out, here
    /// and in list().
    std::optional<StoredSet> latest() const;
    /// Newest first, at most `limit` (0: all).
    std::vector<StoredSet> list(std::size_t limit = 0) const;
    /// Closes a set: everything it names must be durable.
    StoredSet append(const Lease& lease, const model::BackupSet& set) const;

private:
    std::string group_;
    Sequence sequence_;
};

/// References to the pieces that no set names yet: those in `known` (from LogWriter::put) as they
/// are; others, left by a run that died before it closed its set, are read and hashed. `sets` holds
/// at least the newest set: it and the sets before it named everything up to its log_to.
std::vector<model::PieceRef> unnamed_pieces(store::Storage& storage, const LogCatalog& catalog,
                                            const std::vector<StoredSet>& sets,
                                            const std::vector<model::PieceRef>& known);

} // namespace tidemark::repo
