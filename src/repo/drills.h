#pragma once

#include "model/drill.h"
#include "repo/sequence.h"
#include "store/storage.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tidemark::repo {

using StoredDrill = Stored<model::Drill>;

base::Bytes encode_drill(const model::Drill& drill, const CommitHeader& header);
StoredDrill decode_drill(base::ByteView bytes, const model::ObjectRef& object);

/// The drills of a group, and the restores that proved a mark.
class Drills {
public:
    Drills(store::Storage& storage, const std::string& group);
    /// Newest first, at most `limit` (0: all); damaged ones go to `unreadable`, or into the log.
    std::vector<StoredDrill> list(std::size_t limit = 0, Unreadable* unreadable = nullptr) const;
    std::optional<StoredDrill> load(model::Number number) const;
    StoredDrill append(const model::Drill& drill) const;
    /// For every proven mark its newest proof, and the objects that could not be read (key ->
    /// reason): a damaged report costs that proof only.
    struct Proofs {
        std::map<model::Number, model::Proof> by_mark;
        std::optional<model::Proof> newest; ///< by when it was proven
        std::optional<StoredDrill> last;    ///< newest report, whatever it says
        std::map<std::string, std::string> unreadable;
    };
    Proofs proofs() const;

private:
    Sequence sequence_;
};

/// "drill-3"
std::string drill_id(model::Number number);

} // namespace tidemark::repo
