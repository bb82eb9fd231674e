#pragma once

#include "model/run.h"
#include "repo/sequence.h"
#include "store/storage.h"

#include <string>
#include <vector>

namespace tidemark::repo {

using StoredRun = Stored<model::Run>;

base::Bytes encode_run(const model::Run& run, const CommitHeader& header);
StoredRun decode_run(base::ByteView bytes, const model::ObjectRef& object);

/// The history of runs of a group.
class Runs {
public:
    Runs(store::Storage& storage, const std::string& group);
    /// Newest first, at most `limit` (0: all); damaged ones go to `unreadable`, or into the log.
    std::vector<StoredRun> list(std::size_t limit = 0, Unreadable* unreadable = nullptr) const;
    StoredRun append(const model::Run& run) const;

private:
    Sequence sequence_;
};

} // namespace tidemark::repo
