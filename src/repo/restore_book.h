#pragma once

#include "model/joint_restore.h"
#include "repo/sequence.h"
#include "store/storage.h"

#include <functional>
#include <string>
#include <vector>

namespace tidemark::repo {

using StoredRestores = Stored<model::JointRestores>;

base::Bytes encode_restores(const model::JointRestores& book, const CommitHeader& header);
StoredRestores decode_restores(base::ByteView bytes, const model::ObjectRef& object);

/// The generations of a group's book of restores over several hosts (rules.md 33). Whoever removes
/// things from the group keeps what the marks of open() need: an entry is written first and the
/// tombstones are looked at second, as with holds.
class RestoreBook {
public:
    RestoreBook(store::Storage& storage, const std::string& group);

    /// The newest generation that can be read; newer ones go to `unreadable`, or into the log.
    model::JointRestores load(Unreadable* unreadable = nullptr) const;
    std::vector<model::JointRestore> open(Unreadable* unreadable = nullptr) const;
    /// A new generation with the change in it. `change` may be called again, on what another host
    /// has written meanwhile; what it throws comes out, and nothing is written then.
    using Change = std::function<void(model::JointRestores&)>;
    void change(const Change& change) const;
    /// Enters members into a restore, see model::enlist; returns the restore. Error{not_restorable}
    /// when retention has begun to remove the mark.
    model::JointRestore enlist(const model::Enlistment& enlistment) const;
    /// Ends it as given up; false when there is no open one of that number. Where the newest
    /// generation is damaged it may be open there: then a new one is written whatever is known.
    bool forget(model::Number number, base::Time now) const;

private:
    store::Storage& storage_;
    std::string group_;
    Sequence sequence_;
};

} // namespace tidemark::repo
