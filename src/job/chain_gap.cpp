#include "job/chain_gap.h"

#include "base/error.h"

namespace tidemark::job {

using model::LogPosition;
using model::Offset;

namespace {

bool backed_up_behind(const repo::MemberView& stored, Offset offset)
{
    return !stored.backups.empty() && stored.backups.front().value.start.offset >= offset;
}

/// As the server had it when the identity was recorded.
std::optional<model::History> history_of(const model::MemberIdentity& recorded)
{
    auto epoch = recorded.identity.position.epoch;
    if (!recorded.history) return model::History(epoch);
    try {
        return model::parse_history(epoch, *recorded.history);
    } catch (const base::Error&) {
        return std::nullopt; // verify tells
    }
}

} // namespace

std::optional<ChainGap> announced_gap(const repo::MemberView& stored)
{
    if (stored.identities.empty()) return std::nullopt;
    const auto& recorded = stored.identities.front().value;
    auto history = history_of(recorded);
    if (!history) return std::nullopt;
    auto end = stored.log.durable_end(*history);
    const LogPosition& start = recorded.log_start;
    if (!end || end->offset >= start.offset || backed_up_behind(stored, start.offset))
        return std::nullopt;
    return ChainGap{.from = *end, .to = start};
}

std::optional<ChainGap> unhealed_gap(const repo::MemberView& stored, const model::History& history)
{
    auto chains = repo::find_chains(stored.log.pieces, history);
    if (chains.size() <= 1 || backed_up_behind(stored, chains.back().start.offset))
        return std::nullopt;
    return ChainGap{.from = chains[chains.size() - 2].end, .to = chains.back().start};
}

std::optional<ChainGap> slot_gap(store::Storage& storage, const repo::MemberView& stored,
                                 const model::History& history, std::uint32_t segment_size,
                                 const engine::SlotState& slot)
{
    if (!slot.exists || slot.lost || !slot.restart || segment_size == 0) return std::nullopt;
    // Servers keep whole segments.
    const Offset first = *slot.restart - *slot.restart % segment_size;
    auto end = stored.log.durable_end(history);
    if (!end || first <= end->offset || backed_up_behind(stored, first)) return std::nullopt;
    end = repo::LogCatalog::load(storage, stored.log.id).durable_end(history);
    if (!end || first <= end->offset) return std::nullopt;
    return ChainGap{.from = *end, .to = {history.epoch_at(first), first}};
}

} // namespace tidemark::job
