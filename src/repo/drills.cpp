#include "repo/drills.h"

#include "repo/damage.h"
#include "repo/layout.h"
#include "repo/sequence_items.h"

namespace tidemark::repo {

Drills::Drills(store::Storage& storage, const std::string& group)
    : sequence_(storage, drills_prefix(group))
{
}

std::vector<StoredDrill> Drills::list(std::size_t limit, Unreadable* unreadable) const
{
    return list_items(sequence_, limit, decode_drill, unreadable);
}

std::optional<StoredDrill> Drills::load(model::Number number) const
{
    return load_asked(sequence_, number, decode_drill);
}

StoredDrill Drills::append(const model::Drill& drill) const
{
    StoredDrill out;
    out.value = drill;
    auto committed = sequence_.append(
        nullptr, [&](const CommitHeader& header) { return encode_drill(drill, header); });
    out.header = std::move(committed.header);
    out.object = std::move(committed.object);
    return out;
}

Drills::Proofs Drills::proofs() const
{
    Proofs out;
    auto numbers = sequence_.numbers();
    for (auto at = numbers.rbegin(); at != numbers.rend(); ++at) {
        std::optional<StoredDrill> stored;
        try {
            stored = load_item(sequence_, *at, decode_drill);
        } catch (const base::Error& error) {
            if (error.code() != base::Code::failed) throw;
            auto key = sequence_.key(*at);
            out.unreadable.emplace(key, said_of(key, error.what()));
            continue;
        }
        if (!stored) continue; // trimmed meanwhile
        if (!out.last) out.last = *stored;
        auto proof = model::proof_of(stored->value, *at);
        if (!proof) continue;
        if (!out.newest || proof->at > out.newest->at) out.newest = proof;
        if (proof->mark == 0) continue; // a moment proves no mark
        out.by_mark.emplace(proof->mark, std::move(*proof));
    }
    return out;
}

std::string drill_id(model::Number number)
{
    return fmt::format("drill-{}", number);
}

} // namespace tidemark::repo
