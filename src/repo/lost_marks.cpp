#include "repo/lost_marks.h"

#include "repo/layout.h"
#include "repo/tombstones.h"

#include <algorithm>
#include <set>

namespace tidemark::repo {

namespace {

/// The newest that anything tells of.
model::Number newest_told(const RepositoryView& view)
{
    model::Number newest = view.marks.empty() ? 0 : view.marks.front().number();
    for (const StoredSet& set : view.sets)
        newest = std::max(newest, set.value.mark);
    for (const auto& [text, why] : view.unreadable) {
        auto key = parse_key(text);
        if (key && key->kind == KeyKind::mark) newest = std::max(newest, key->number);
    }
    return newest;
}

/// What retention removed of the group's marks; read when it is first asked for.
class RemovedMarks {
public:
    RemovedMarks(store::Storage& storage, const std::string& group)
        : storage_(storage), group_(group)
    {
    }
    bool holds(model::Number number)
    {
        if (!known_) {
            ranges_ = load();
            known_ = true;
        }
        return std::ranges::any_of(ranges_, [&](const model::NumberRange& range) {
            return range.first <= number && number <= range.last;
        });
    }

private:
    std::vector<model::NumberRange> load() const
    {
        auto newest = Tombstones{storage_, group_}.latest_readable();
        if (!newest) return {};
        auto found = newest->value.gone.find(sequence_name(group_, marks_prefix(group_)));
        return found == newest->value.gone.end() ? std::vector<model::NumberRange>{}
                                                 : found->second;
    }

    store::Storage& storage_;
    const std::string& group_;
    bool known_ = false;
    std::vector<model::NumberRange> ranges_;
};

} // namespace

std::vector<LostMark> lost_marks(store::Storage& storage, const RepositoryView& view,
                                 const MarkSpan& span)
{
    std::set<model::Number> there;
    for (const StoredMark& mark : view.marks)
        there.insert(mark.number());
    RemovedMarks removed(storage, view.group);
    auto last = newest_told(view);
    if (span.before != 0) last = std::min(last, span.before - 1);
    std::vector<LostMark> out;
    for (auto number = span.after + 1; number <= last; ++number) {
        if (there.contains(number)) continue;
        auto key = mark_key(view.group, number);
        auto unreadable = view.unreadable.find(key);
        if (unreadable != view.unreadable.end())
            out.push_back({.number = number, .key = key, .why = unreadable->second});
        // One that was placed after the marks were read is no loss.
        else if (!removed.holds(number) && !storage.stat(key))
            out.push_back({.number = number, .key = key, .why = "is missing"});
    }
    return out;
}

} // namespace tidemark::repo
