#include "job/mark_input.h"

#include "base/error.h"
#include "job/member_events.h"
#include "job/reindex.h"
#include "model/gid_pattern.h"
#include "repo/identities.h"
#include "repo/log_reader.h"

#include <algorithm>

namespace tidemark::job {

using base::Code;
using base::Error;

namespace {

const model::MemberSpec* find_spec(const Context& context, const std::string& name)
{
    for (const auto& member : context.group.members) {
        if (member.name == name) return &member;
    }
    return nullptr;
}

/// Leases of one activity follow each other, whatever any clock says.
bool came_before(const repo::StoredIdentity& recorded, const MarkPlace& place)
{
    const auto& lease = recorded.header.lease;
    if (lease && place.lease && lease->activity == place.lease->activity &&
        lease->number != place.lease->number)
        return lease->number < place.lease->number;
    return recorded.value.recorded <= place.created;
}

} // namespace

model::MemberIdentity identity_at(const Context& context, const model::MemberId& id,
                                  const MarkPlace& place)
{
    auto all = repo::Identities(context.storage(), id).list();
    for (const auto& one : all) { // newest first
        if (came_before(one, place)) return one.value;
    }
    if (all.empty())
        throw Error{Code::not_restorable,
                    "the repository holds no identity of member " + id.member};
    return all.back().value;
}

namespace {

/// A member of a mark, and what is stored of it now.
struct StoredMember {
    StoredMember(const Context& context, const MarkPlace& place, const model::MarkMember& stored)
        : line(stored), id{.group = context.group.name, .member = stored.name},
          recorded(identity_at(context, id, place)),
          reader(context.storage(), repo::LogCatalog::load(context.storage(), id)),
          end{stored.history.epoch_at(stored.log_end - 1), stored.log_end},
          chain_start(stored.log_end)
    {
        const auto* known = find_spec(context, stored.name);
        spec =
            known != nullptr
                ? *known
                : model::MemberSpec{
                      .name = stored.name, .url = {}, .data_dir = {}, .gid_pattern = "identical"};
        for (const auto& chain : repo::find_chains(reader.catalog().pieces, stored.history)) {
            if (chain.start.offset < stored.log_end && stored.log_end <= chain.end.offset)
                chain_start =
                    std::min(stored.log_end, first_readable(chain.start.offset, stored.history,
                                                            recorded.identity.log_segment_size));
        }
        rebuild = index_rebuilder(context, spec, recorded.identity, reader.catalog(),
                                  stored.history, {.every_time = true});
    }

    EventRange range(const model::OpenTransactions* previous) const
    {
        return {.history = line.history,
                .previous = previous,
                .member = line.name,
                .chain_start = {line.history.epoch_at(chain_start), chain_start},
                .end = end};
    }

    const model::MarkMember& line;
    model::MemberId id;
    model::MemberIdentity recorded;
    model::MemberSpec spec;
    repo::LogReader reader;
    model::LogPosition end;
    model::Offset chain_start;
    repo::RebuildIndex rebuild;
};

} // namespace

model::CutMember read_cut_member(const Context& context, const MarkPlace& place,
                                 const model::MarkMember& stored,
                                 const model::OpenTransactions* previous,
                                 const std::function<void(const model::LogIndex&)>& visit)
{
    StoredMember source(context, place, stored);
    model::CutMember member;
    member.b = stored.b;
    member.r = stored.r;
    member.r_end = stored.r_end;
    member.e = stored.e;
    member.log.name = stored.name;
    member.log.history = stored.history;
    member.log.complete_since = source.chain_start;
    // Not the configured one, which may be another by now, or not be here at all.
    member.log.pattern = model::GidPattern::parse(
        stored.gid_pattern.empty() ? source.spec.gid_pattern : stored.gid_pattern);
    member.log.seeds = source.recorded.seeds;
    member.log.clock = stored.clock;
    member.wanted = stored.wanted;
    auto known = source.chain_start;
    if (previous != nullptr) {
        auto table = previous->members.find(stored.name);
        if (table != previous->members.end()) known = std::max(known, table->second.e);
    }
    auto end = source.end.offset;
    context.progress.stage(stored.name, "decode log", end - std::min(end, known));
    std::uint64_t done = 0;
    auto indexes = read_indexes(source.reader.catalog(), source.range(previous),
                                [&](const repo::LogPiece& piece) {
                                    auto index = source.rebuild(piece);
                                    done += piece.range.to - piece.range.from;
                                    context.progress.advance(stored.name, done);
                                    return index;
                                });
    context.progress.finished(stored.name);
    for (auto& index : indexes) {
        visit(index);
        for (auto& event : index.transactions)
            member.log.events.push_back(std::move(event));
    }
    return member;
}

void add_tails(const Context& context, const MarkPlace& place,
               const std::vector<model::MarkMember>& stored, model::CutInput& input)
{
    const KnownIds known(input.members, input.previous);
    for (std::size_t i = 0; i < stored.size(); ++i) {
        if (stored[i].history.ancestors().empty()) continue;
        base::with_context("member " + stored[i].name, [&] {
            StoredMember source(context, place, stored[i]);
            auto& log = input.members[i].log;
            for (auto& event : read_tails(source.reader.catalog(), source.range(input.previous),
                                          source.rebuild, log.pattern, known))
                log.events.push_back(std::move(event));
        });
    }
}

} // namespace tidemark::job
