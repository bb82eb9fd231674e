#pragma once

#include "model/hold.h"
#include "repo/sequence.h"
#include "store/storage.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace tidemark::repo {

using StoredHolds = Stored<model::Holds>;

base::Bytes encode_holds(const model::Holds& holds, const CommitHeader& header);
StoredHolds decode_holds(base::ByteView bytes, const model::ObjectRef& object);

/// The generations of a group's holds (rules.md 33).
class HoldBook {
public:
    HoldBook(store::Storage& storage, const std::string& group);

    /// Holds of the newest generation that can be read, by mark; also those whose time has passed.
    /// Newer ones that are damaged go to `unreadable`, or into the log.
    std::vector<model::Hold> holds(Unreadable* unreadable = nullptr) const;
    /// A new generation in which the mark is held. Returns the hold in force that this one takes
    /// the place of; its note stays where `hold` has none. One that would end later is not cut
    /// short: Error{usage}. When an `expire` has begun to remove the mark, the hold is taken back
    /// and Error{not_restorable} comes out.
    /// The new generation begins with the newest that can be read. What newer ones said that are
    /// damaged is lost with it: they go to `unreadable`, as in holds().
    std::optional<model::Hold> hold(model::Hold hold, Unreadable* unreadable = nullptr) const;
    /// A new generation without it, with the same words about `unreadable`; false, and no new
    /// generation, when it was not held. Where the newest is damaged it may have been.
    bool release(model::Number mark, Unreadable* unreadable = nullptr) const;

private:
    using Change = std::function<void(std::vector<model::Hold>&)>;
    void append(const Change& change, Unreadable* unreadable) const;

    store::Storage& storage_;
    std::string group_;
    Sequence sequence_;
};

} // namespace tidemark::repo
