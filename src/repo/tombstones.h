#pragma once

#include "model/tombstone.h"
#include "repo/lease.h"
#include "repo/sequence.h"
#include "store/storage.h"

#include <optional>
#include <set>
#include <string>
#include <vector>

namespace tidemark::repo {

using StoredTombstone = Stored<model::Tombstone>;

base::Bytes encode_tombstone(const model::Tombstone& tombstone, const CommitHeader& header);
StoredTombstone decode_tombstone(base::ByteView bytes, const model::ObjectRef& object);

/// What `expire` removes from a group, and removed.
class Tombstones {
public:
    Tombstones(store::Storage& storage, const std::string& group);

    /// Newest first; those that cannot be read are left out with a warning.
    std::vector<StoredTombstone> list() const;
    /// The newest that can be read: it tells what is gone.
    std::optional<StoredTombstone> latest_readable() const;
    StoredTombstone append(const Lease& lease, const model::Tombstone& tombstone) const;

private:
    std::string group_;
    Sequence sequence_;
};

/// Keys that some tombstone of the group names.
std::set<std::string> condemned_keys(store::Storage& storage, const std::string& group);

/// The part of a commit object's prefix that `Tombstone::gone` uses: "groups/shop/marks/" ->
/// "marks".
std::string sequence_name(const std::string& group, const std::string& prefix);

} // namespace tidemark::repo
