#pragma once

#include "model/mark.h"
#include "repo/lease.h"
#include "repo/sequence.h"
#include "store/storage.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidemark::repo {

using StoredMark = Stored<model::Mark>;

base::Bytes encode_mark(const model::Mark& mark, const CommitHeader& header);
StoredMark decode_mark(base::ByteView bytes, const model::ObjectRef& object);

/// How a person names a mark: "latest", "m-12" or "12", its name, or a time (the newest mark whose
/// time is at or before it).
struct MarkSelector {
    enum class Kind { latest, number, name, time };
    Kind kind = Kind::latest;
    model::Number number = 0;
    std::string name;
    base::Time time;
};
MarkSelector parse_mark_selector(std::string_view text);
/// "2026-11-31 00:00": somebody means a time, whether it is one or not.
bool begins_like_a_date(std::string_view text);
/// "m-12"
std::string mark_id(model::Number number);

/// The marks of a group.
class Marks {
public:
    Marks(store::Storage& storage, const std::string& group);

    /// Ascending; one listing, no object is read.
    std::vector<model::Number> numbers() const { return sequence_.numbers(); }
    /// Error{not_restorable} when it is damaged; the others leave out what is, naming it in a
    /// warning.
    std::optional<StoredMark> load(model::Number number) const;
    /// That is no moment: those are recorded later than they lie.
    std::optional<StoredMark> latest() const;
    /// The newest of these that `fits`.
    std::optional<StoredMark> latest(const std::function<bool(const model::Mark&)>& fits) const;
    /// Newest first, at most `limit` (0: all).
    std::vector<StoredMark> list(std::size_t limit = 0) const;
    std::optional<StoredMark> find(const MarkSelector& selector) const;
    /// find() with Error{usage} when there is none, naming what there is.
    StoredMark need(std::string_view text) const;
    /// Error{usage} when a mark cannot be called so: a selector would read the name as something
    /// else, or another mark has it (rules.md 9). Under the group's lease "log" the answer stays
    /// true.
    void refuse_taken(const std::string& name) const;
    /// The mark becomes visible. Its number is set by the sequence; see Sequence::append.
    StoredMark append(const Lease& lease, const model::Mark& mark) const;

private:
    std::string group_;
    Sequence sequence_;
};

} // namespace tidemark::repo
