#include "repo/view.h"

#include "base/error.h"
#include "base/task_group.h"
#include "model/log_ranges.h"
#include "model/membership.h"
#include "repo/damage.h"
#include "repo/histories.h"
#include "repo/layout.h"
#include "repo/repository.h"
#include "repo/restore_plan.h"

#include <algorithm>
#include <atomic>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <limits>
#include <optional>
#include <utility>

namespace tidemark::repo {

using base::Code;
using base::Error;

namespace {

/// A store on a network answers many at once; parsing takes all cores.
constexpr std::size_t kAtOnce = 8;
/// Each loads so many objects at once.
constexpr std::size_t kMembersAtOnce = 4;

/// Calls `work` with each number below `count`.
template <typename Work>
void count_at_once(std::size_t count, std::size_t threads, const Work& work)
{
    std::atomic<std::size_t> next{0};
    base::TaskGroup group;
    for (std::size_t i = 0; i < threads; ++i)
        group.add([&](const std::stop_token& stop) {
            for (auto at = next++; at < count && !stop.stop_requested(); at = next++)
                work(at);
        });
    group.wait();
}

/// Loads commit objects newest first. One that cannot be read is noted and left out.
template <typename Source> class Loader {
public:
    using Item = typename decltype(std::declval<const Source&>().load(1))::value_type;

    Loader(const Source& source, const Sequence& names,
           std::map<std::string, std::string>& unreadable)
        : source_(source), names_(names), unreadable_(unreadable), numbers_(names.numbers())
    {
    }

    bool at_end() const { return numbers_.empty(); }

    /// Appends up to `count` more.
    void more(std::size_t count, std::vector<Item>& out)
    {
        const std::size_t wanted = count > numbers_.size() ? 0 : numbers_.size() - count;
        std::vector<model::Number> batch(numbers_.begin() + static_cast<std::ptrdiff_t>(wanted),
                                         numbers_.end());
        numbers_.resize(wanted);
        std::reverse(batch.begin(), batch.end());
        std::vector<std::optional<Item>> items(batch.size());
        std::vector<std::string> reasons(batch.size());
        count_at_once(batch.size(), std::min(kAtOnce, 1 + batch.size() / 16),
                      [&](std::size_t at) { load(batch[at], items[at], reasons[at]); });
        for (std::size_t i = 0; i < batch.size(); ++i) {
            if (items[i]) out.push_back(std::move(*items[i]));
            if (!reasons[i].empty()) complain(names_.key(batch[i]), reasons[i]);
        }
    }

private:
    void complain(const std::string& key, const std::string& why)
    {
        unreadable_.emplace(key, said_of(key, why));
    }
    void load(model::Number number, std::optional<Item>& item, std::string& reason) const
    {
        try {
            item = source_.load(number);
        } catch (const Error& error) {
            if (error.code() != Code::failed && error.code() != Code::not_restorable) throw;
            reason = error.what();
        }
    }

    const Source& source_;
    const Sequence& names_;
    std::map<std::string, std::string>& unreadable_;
    std::vector<model::Number> numbers_;
};

/// Newest first, `limit` of those that can be read; 0: all.
template <typename Source>
auto load_all(const Source& source, const Sequence& names, std::size_t limit,
              std::map<std::string, std::string>& unreadable)
{
    Loader<Source> loader(source, names, unreadable);
    std::vector<typename Loader<Source>::Item> out;
    while (!loader.at_end() && (limit == 0 || out.size() < limit))
        loader.more(limit == 0 ? std::numeric_limits<std::size_t>::max() : limit - out.size(), out);
    return out;
}

void drop_proof(model::Mark& mark)
{
    mark.anchor = {};
    mark.at = {};
    mark.table = {};
}

void load_histories(store::Storage& storage, MemberView& member,
                    std::map<std::string, std::string>& unreadable)
{
    member.histories.emplace(1, model::History{1});
    for (model::Epoch epoch : member.log.histories) {
        try {
            member.histories.insert_or_assign(epoch, load_history(storage, member.log.id, epoch));
        } catch (const Error& error) {
            if (error.code() != Code::failed) throw;
            auto key = history_key(member.log.id, epoch);
            unreadable.emplace(key, said_of(key, error.what()));
        }
    }
}

MemberView load_member(store::Storage& storage, const model::MemberId& id, std::size_t backups,
                       std::map<std::string, std::string>& unreadable)
{
    MemberView out;
    out.backups = load_all(Backups{storage, id}, Sequence{storage, backups_prefix(id), "/manifest"},
                           backups, unreadable);
    out.identities =
        load_all(Identities{storage, id}, Sequence{storage, identities_prefix(id)}, 0, unreadable);
    out.log = LogCatalog::load(storage, id);
    out.joined = JoinedCatalog{storage, id}.pieces();
    load_histories(storage, out, unreadable);
    for (const std::string& prefix : {packs_prefix(id), backups_prefix(id)}) {
        for (const store::ObjectInfo& info : storage.list(prefix)) {
            auto key = parse_key(info.key);
            if (key && (key->kind == KeyKind::pack || key->kind == KeyKind::page_map))
                out.packs.emplace(info.key, info.size);
        }
    }
    return out;
}

void load_members(store::Storage& storage, const std::vector<std::string>& names,
                  std::size_t backups, RepositoryView& out)
{
    std::vector<MemberView> members(names.size());
    std::vector<std::map<std::string, std::string>> unreadable(names.size());
    count_at_once(names.size(), std::min(kMembersAtOnce, names.size()), [&](std::size_t at) {
        members[at] = load_member(storage, {.group = out.group, .member = names[at]}, backups,
                                  unreadable[at]);
    });
    for (std::size_t at = 0; at < names.size(); ++at) {
        out.members.emplace(names[at], std::move(members[at]));
        out.unreadable.merge(unreadable[at]);
    }
}

/// What sets must still be read for: see SetScope::recent.
class Unseen {
public:
    explicit Unseen(const RepositoryView& view)
    {
        for (const auto& [name, member] : view.members) {
            if (!member.backups.empty()) backups_.emplace(name, member.backups.front().number());
            std::vector<model::LogRange> joined;
            for (const model::PieceRef& piece : member.joined)
                joined.push_back(piece.range);
            joined = model::merge_ranges(std::move(joined));
            for (const LogPiece& piece : member.log.pieces)
                if (!within(joined, piece.range)) pieces_.insert(piece.key);
        }
    }

    void see(const StoredSet& set)
    {
        full_ = full_ || set.value.kind == model::SetKind::full;
        for (const auto& [name, part] : set.value.members) {
            auto newest = backups_.find(name);
            if (newest != backups_.end() && part.backup == newest->second) backups_.erase(newest);
            for (const model::PieceRef& piece : part.pieces)
                pieces_.erase(piece.object.key);
            // What came after the newest set is in none.
            if (first_ && part.log_to) forget_after(name, *part.log_to);
        }
        first_ = false;
    }
    bool done() const { return full_ && backups_.empty() && pieces_.empty(); }

private:
    static bool within(const std::vector<model::LogRange>& merged, const model::LogRange& range)
    {
        auto at =
            std::partition_point(merged.begin(), merged.end(), [&](const model::LogRange& one) {
                return one.epoch < range.epoch || (one.epoch == range.epoch && one.to < range.to);
            });
        return at != merged.end() && at->epoch == range.epoch && at->from <= range.from;
    }

    void forget_after(const std::string& member, const model::LogPosition& end)
    {
        std::erase_if(pieces_, [&](const std::string& text) {
            auto key = parse_key(text);
            return key && key->id.member == member &&
                   (key->range.epoch > end.epoch ||
                    (key->range.epoch == end.epoch && key->range.to > end.offset));
        });
    }

    std::map<std::string, model::Number> backups_;
    std::set<std::string> pieces_;
    bool full_ = false;
    bool first_ = true;
};

std::vector<StoredSet> load_recent_sets(store::Storage& storage, RepositoryView& view)
{
    constexpr std::size_t kBatch = 256;
    const Sets source{storage, view.group};
    const Sequence names{storage, sets_prefix(view.group)};
    Loader<Sets> loader(source, names, view.unreadable);
    Unseen unseen(view);
    std::vector<StoredSet> out;
    while (!loader.at_end() && !unseen.done()) {
        std::size_t seen = out.size();
        loader.more(kBatch, out);
        for (; seen < out.size(); ++seen)
            unseen.see(out[seen]);
    }
    return out;
}

/// Whether a mark lacks a member that joined depends on earlier marks that hold it
/// (model/membership.h): since it joined, and those are not all here.
bool needs_older_marks(const RepositoryView& view)
{
    if (view.marks.empty()) return false;
    const auto oldest = view.marks.back().value.created;
    for (const auto& [name, member] : view.members) {
        for (const StoredMark& mark : view.marks) {
            const auto* then = identity_then(member, mark.value.created);
            if (then == nullptr || !model::belongs_with_first_mark(then->value) ||
                then->value.recorded >= oldest)
                continue;
            if (std::ranges::count(mark.value.members, name, &model::MarkMember::name) == 0)
                return true;
        }
    }
    return false;
}

[[noreturn]] void throw_no_group(const Repository& repository, const std::string& group)
{
    auto groups = repository.groups();
    throw Error{Code::usage,
                fmt::format("the repository at {} holds no group \"{}\"",
                            repository.storage().traits().where, group),
                {.hint = (groups.empty() ? std::string("it holds no group at all")
                                         : fmt::format("it holds: {}", fmt::join(groups, ", "))) +
                         "; a group of the configuration begins with tidemark init"}};
}

} // namespace

const StoredIdentity* identity_then(const MemberView& member, base::Time time)
{
    for (const StoredIdentity& one : member.identities) // newest first
        if (one.value.recorded < time) return &one;
    return nullptr;
}

RepositoryView load_view(store::Storage& storage, const std::string& group,
                         const ViewOptions& options)
{
    Repository repository = Repository::open(storage);
    auto members = repository.members(group);
    if (members.empty()) throw_no_group(repository, group);
    RepositoryView out;
    out.group = group;
    out.marks = load_all(Marks{storage, group}, Sequence{storage, marks_prefix(group)},
                         options.marks, out.unreadable);
    if (!options.proofs)
        for (StoredMark& mark : out.marks)
            drop_proof(mark.value);
    // Before what they name: a set that is closed meanwhile must not seem to name what is missing.
    if (options.sets == SetScope::all)
        out.sets = load_all(Sets{storage, group}, Sequence{storage, sets_prefix(group)},
                            options.newest_sets, out.unreadable);
    load_members(storage, members, options.backups, out);
    if (options.marks != 0 && out.marks.size() >= options.marks && needs_older_marks(out)) {
        auto all = options;
        all.marks = 0;
        return load_view(storage, group, all);
    }
    if (options.sets == SetScope::recent) out.sets = load_recent_sets(storage, out);
    return out;
}

RepositoryView load_recent(store::Storage& storage, const std::string& group, bool proofs)
{
    constexpr std::size_t kMarks = 16;
    constexpr std::size_t kBackups = 2;
    auto view = load_view(
        storage, group,
        {.marks = kMarks, .backups = kBackups, .sets = SetScope::recent, .proofs = proofs});
    auto newest = std::find_if(view.marks.begin(), view.marks.end(),
                               [](const StoredMark& mark) { return !mark.value.is_moment(); });
    if (newest == view.marks.end()) return load_view(storage, group, {.proofs = proofs});
    auto plan = plan_restore(view, newest->number());
    // A warning about a backup may come from what was not read; the marks' own stay as they are.
    auto own = mark_warnings(view, newest->value).size();
    if (plan.plan && plan.plan->warnings.size() == own) return view;
    return load_view(storage, group, {.proofs = proofs});
}

} // namespace tidemark::repo
