#pragma once

#include "model/backup_set.h"
#include "model/ids.h"
#include "repo/lease.h"
#include "repo/sequence.h"
#include "store/storage.h"

#include <string>
#include <vector>

namespace tidemark::repo {

/// All joined pieces of one member's log that are there: what sets say of the pieces they replace
/// is said here of them. Numbered generations, the highest counts (rules.md 33, 36).
struct JoinedLog {
    std::string group;
    std::string member;
    std::vector<model::PieceRef> pieces; ///< by epoch, start
    friend bool operator==(const JoinedLog&, const JoinedLog&) = default;
};
using StoredJoinedLog = Stored<JoinedLog>;

base::Bytes encode_joined(const JoinedLog& joined, const CommitHeader& header);
StoredJoinedLog decode_joined(base::ByteView bytes, const model::ObjectRef& object);

class JoinedCatalog {
public:
    JoinedCatalog(store::Storage& storage, const model::MemberId& id);
    /// The newest generation that can be read; empty when nothing was joined.
    std::vector<model::PieceRef> pieces() const;
    void append(const Lease& lease, const std::vector<model::PieceRef>& pieces) const;

private:
    model::MemberId id_;
    Sequence sequence_;
};

} // namespace tidemark::repo
