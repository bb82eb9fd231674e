#include "base/error.h"
#include "repo/drills.h"
#include "repo/holds.h"
#include "repo/joined.h"
#include "repo/layout.h"
#include "repo/restore_book.h"
#include "repo/runs.h"
#include "repo/verify_parts.h"

#include <algorithm>
#include <fmt/format.h>
#include <functional>

namespace tidemark::repo {

using base::Code;
using base::Error;

namespace {

using Decode = std::function<CommitHeader(base::ByteView, const model::ObjectRef&)>;

/// One commit object as the chain needs it.
struct Link {
    model::Number number = 0;
    model::ObjectRef object;
    std::optional<CommitHeader> header; ///< absent when it cannot be read
};

std::optional<Link> read_link(const Sequence& sequence, model::Number number,
                              const std::string& member, const Decode& decode, Findings& findings)
{
    auto found = sequence.read(number);
    if (!found) return std::nullopt; // listed, and then removed
    findings.count(1);
    Link link{.number = number, .object = found->object, .header = {}};
    try {
        CommitHeader header = decode(found->bytes, found->object);
        if (header.number == number)
            link.header = std::move(header);
        else
            findings.fault(FaultKind::damaged, link.object.key,
                           fmt::format("says that its number is {}", header.number), member);
    } catch (const Error& error) {
        if (error.code() != Code::failed) throw;
        findings.fault(FaultKind::unreadable, link.object.key, error.what(), member);
    }
    return link;
}

/// The later of two neighbours tells what the earlier one must be.
void compare(const Link& before, const Link& link, const std::string& member, Findings& findings)
{
    if (!link.header || link.header->predecessor == before.object) return;
    bool named = link.header->predecessor && link.header->predecessor->key == before.object.key;
    if (named)
        findings.fault(FaultKind::damaged, before.object.key,
                       fmt::format("its bytes are not those that {} follows", link.object.key),
                       member);
    else
        findings.fault(FaultKind::broken_chain, link.object.key,
                       fmt::format("does not follow {}", before.object.key), member);
}

/// The last number of the run of removed ones that `number` belongs to.
std::optional<model::Number> gone_until(const std::vector<model::NumberRange>& gone,
                                        model::Number number)
{
    auto at = std::partition_point(gone.begin(), gone.end(), [&](const model::NumberRange& range) {
        return range.last < number;
    });
    if (at == gone.end() || number < at->first) return std::nullopt;
    return at->last;
}

/// One sequence, where it lies, and which of its numbers retention removed.
struct Chain {
    std::string prefix;
    std::string suffix = "";
    std::string member = "";
    std::vector<model::NumberRange> gone = {};
    bool holes = false; ///< generations: only the newest counts, older ones go at any time
};

void check_sequence(store::Storage& storage, const Chain& chain, const Decode& decode,
                    Findings& findings)
{
    const Sequence sequence{storage, chain.prefix, chain.suffix};
    const std::string& member = chain.member;
    auto absent = [&](model::Number from, model::Number to) {
        for (model::Number number = from; number < to && !chain.holes; ++number) {
            if (auto last = gone_until(chain.gone, number)) {
                number = *last;
                continue;
            }
            findings.fault(FaultKind::missing, sequence.key(number),
                           "is missing although later ones are there", member);
        }
    };
    std::optional<Link> before;
    model::Number next = 1;
    for (model::Number number : sequence.numbers()) {
        auto link = read_link(sequence, number, member, decode, findings);
        if (!link) continue;
        absent(next, number);
        if (before && number == next) compare(*before, *link, member, findings);
        if (number == 1 && link->header && link->header->predecessor)
            findings.fault(FaultKind::broken_chain, link->object.key,
                           "is the first one and names one before it", member);
        before = std::move(link);
        next = number + 1;
    }
}

bool has(const auto& items, model::Number number)
{
    return std::any_of(items.begin(), items.end(),
                       [&](const auto& item) { return item.number() == number; });
}

/// The newest object of a chain has no successor to miss it; the sets do.
void check_named(store::Storage& storage, const RepositoryView& view, const model::Tombstone& gone,
                 Findings& findings)
{
    auto removed = [&](const std::string& prefix, model::Number number) {
        auto found = gone.gone.find(sequence_name(view.group, prefix));
        return found != gone.gone.end() && gone_until(found->second, number).has_value();
    };
    auto missing = [&](const std::string& key, model::Number set, const std::string& member) {
        // One written after the view was loaded is no fault.
        if (!view.unreadable.contains(key) && !storage.stat(key))
            findings.fault(FaultKind::missing, key,
                           fmt::format("is missing although set s-{} names it", set), member);
    };
    model::Number closed = 0;
    for (const StoredSet& set : view.sets) {
        closed = std::max(closed, set.value.mark);
        if (!has(view.marks, set.value.mark) && !removed(marks_prefix(view.group), set.value.mark))
            missing(mark_key(view.group, set.value.mark), set.number(), "");
        for (const auto& [name, part] : set.value.members) {
            auto member = view.members.find(name);
            if (part.backup && member != view.members.end() &&
                !has(member->second.backups, *part.backup) &&
                !removed(backups_prefix(member->second.log.id), *part.backup))
                missing(manifest_key(member->second.log.id, *part.backup), set.number(), name);
        }
    }
    for (const StoredMark& mark : view.marks) {
        if (mark.number() > closed && !mark.value.is_moment())
            findings.note(fmt::format("no set names mark {}: its set is lost, or its job ended "
                                      "before closing it; the mark itself can be restored",
                                      mark_id(mark.number())));
    }
    for (const auto& [name, member] : view.members) {
        std::string key = identity_key(member.log.id, 1);
        if (member.identities.empty() && !view.unreadable.contains(key))
            findings.fault(FaultKind::missing, key,
                           "is missing: nothing says which server this member is", name);
    }
}

template <typename Decoder> Decode header_by(Decoder decoder)
{
    return [decoder](base::ByteView bytes, const model::ObjectRef& object) {
        return decoder(bytes, object).header;
    };
}

} // namespace

void check_chains(store::Storage& storage, const RepositoryView& view, const model::Tombstone& gone,
                  Findings& findings)
{
    const std::string& group = view.group;
    check_named(storage, view, gone, findings);
    auto check = [&](const std::string& prefix, const Decode& decode,
                     const std::string& suffix = "", const std::string& member = "") {
        Chain chain{.prefix = prefix, .suffix = suffix, .member = member};
        auto removed = gone.gone.find(sequence_name(group, prefix));
        if (removed != gone.gone.end()) chain.gone = removed->second;
        check_sequence(storage, chain, decode, findings);
    };
    auto check_generations = [&](const std::string& prefix, const Decode& decode,
                                 const std::string& member = "") {
        check_sequence(storage, {.prefix = prefix, .member = member, .holes = true}, decode,
                       findings);
    };
    check(marks_prefix(group), header_by(decode_mark));
    check(sets_prefix(group), header_by(decode_set));
    check(runs_prefix(group), header_by(decode_run));
    check(drills_prefix(group), header_by(decode_drill));
    check_generations(holds_prefix(group), header_by(decode_holds));
    check_generations(restores_prefix(group), header_by(decode_restores));
    check_generations(tombstones_prefix(group), header_by(decode_tombstone));
    for (const auto& [name, member] : view.members) {
        const model::MemberId& id = member.log.id;
        check(identities_prefix(id), header_by(decode_identity), "", name);
        check(backups_prefix(id), header_by(decode_manifest), "/manifest", name);
        check_generations(joined_prefix(id), header_by(decode_joined), name);
        for (model::Epoch epoch : member.log.histories) {
            std::string key = history_key(id, epoch);
            auto reason = view.unreadable.find(key);
            findings.count(1);
            if (reason != view.unreadable.end())
                findings.fault(FaultKind::unreadable, key, reason->second, name);
        }
    }
}

} // namespace tidemark::repo
