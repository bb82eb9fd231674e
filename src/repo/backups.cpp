#include "repo/backups.h"

#include "base/error.h"
#include "repo/layout.h"
#include "repo/sequence_items.h"

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
    : id_(id), sequence_(storage, backups_prefix(id), "/manifest")
{
}

std::optional<StoredManifest> Backups::load(model::Number number) const
{
    return load_item(sequence_, number, decode_manifest);
}

std::vector<StoredManifest> Backups::list(std::size_t limit) const
{
    return list_items(sequence_, limit, decode_manifest);
}

model::Number Backups::next_number() const
{
    return sequence_.newest().value_or(0) + 1;
}

StoredManifest Backups::commit(const Lease& lease, model::Number number,
                               const model::Manifest& manifest) const
{
    StoredManifest out;
    out.value = manifest;
    out.value.group = id_.group;
    out.value.member = id_.member;
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
    return out;
}

} // namespace tidemark::repo
