#include "repo/backups.h"

#include "base/error.h"
#include "repo/layout.h"
#include "repo/sequence_items.h"
#include "repo/tombstones.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::repo {

model::PackRef pack_ref(const model::MemberId& id, const PackInfo& pack)
{
    return {.key = pack_key(id, pack.id),
            .size = pack.length,
            .frames = pack.frames,
            .plain_bytes = pack.plain_bytes,
            .root = pack.root};
}

model::ObjectRef page_map_ref(const model::MemberId& id, const PageMapInfo& map)
{
    return {
        .key = page_map_key(id, map.backup, map.lease), .size = map.length, .sha256 = map.sha256};
}

Backups::Backups(store::Storage& storage, const model::MemberId& id)
    : storage_(storage), id_(id), sequence_(storage, backups_prefix(id), "/manifest")
{
}

std::optional<StoredManifest> Backups::load(model::Number number) const
{
    return load_asked(sequence_, number, decode_manifest);
}

std::vector<StoredManifest> Backups::list(std::size_t limit) const
{
    return list_items(sequence_, limit, decode_manifest);
}

model::Number Backups::next_number() const
{
    return sequence_.newest().value_or(0) + 1;
}

/// An expire that took this backup's writer for dead has named its packs (rules.md 32).
bool Backups::is_condemned(const model::Manifest& manifest) const
{
    auto condemned = condemned_keys(storage_, id_.group);
    return condemned.contains(manifest.page_map.key) ||
           std::any_of(manifest.packs.begin(), manifest.packs.end(),
                       [&](const model::PackRef& pack) { return condemned.contains(pack.key); });
}

StoredManifest Backups::commit(const Lease& lease, model::Number number,
                               const model::Manifest& manifest) const
{
    StoredManifest out;
    out.value = manifest;
    out.value.group = id_.group;
    out.value.member = id_.member;
    auto refuse = [&] {
        throw base::Error{
            base::Code::lease_held,
            fmt::format("this process stood still for so long that retention began to remove what "
                        "it had written of backup {} of member {}",
                        number, id_.member),
            {.hint = "run the same command again"}};
    };
    if (is_condemned(out.value)) refuse();
    auto committed = sequence_.append(&lease, [&](const CommitHeader& header) {
        if (header.number != number)
            throw base::Error{
                base::Code::lease_held,
                fmt::format("backup {} of member {} was written by somebody else meanwhile", number,
                            id_.member),
                {.hint = "another job took over; run the same command again"}};
        return encode_manifest(out.value, header);
    });
    out.header = std::move(committed.header);
    out.object = std::move(committed.object);
    // Looked at again: a tombstone that came meanwhile did not see this manifest.
    if (is_condemned(out.value)) {
        storage_.remove(out.object.key);
        refuse();
    }
    return out;
}

} // namespace tidemark::repo
