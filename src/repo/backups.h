#pragma once

#include "model/manifest.h"
#include "repo/lease.h"
#include "repo/page_map.h"
#include "repo/sequence.h"
#include "store/storage.h"

#include <optional>
#include <string>
#include <vector>

namespace tidemark::repo {

using StoredManifest = Stored<model::Manifest>;

base::Bytes encode_manifest(const model::Manifest& manifest, const CommitHeader& header);
StoredManifest decode_manifest(base::ByteView bytes, const model::ObjectRef& object);

/// How the manifest names a finished pack and the page map.
model::PackRef pack_ref(const model::MemberId& id, const PackInfo& pack);
model::ObjectRef page_map_ref(const model::MemberId& id, const PageMapInfo& map);

/// The complete base backups of one member: those whose manifest is there.
class Backups {
public:
    Backups(store::Storage& storage, const model::MemberId& id);

    /// Ascending.
    std::vector<model::Number> numbers() const { return sequence_.numbers(); }
    std::optional<StoredManifest> load(model::Number number) const;
    /// Newest first, at most `limit` (0: all).
    std::vector<StoredManifest> list(std::size_t limit = 0) const;
    /// The number the next backup will have: its packs and page map are named after it, and
    /// commit() must still find it free. Only the holder of lease backup/M asks.
    model::Number next_number() const;
    /// Makes the backup visible. The manifest's number is `number`; when another manifest took it
    /// meanwhile this is Error{lease_held}, as when an `expire` has named its packs.
    StoredManifest commit(const Lease& lease, model::Number number,
                          const model::Manifest& manifest) const;

private:
    bool is_condemned(const model::Manifest& manifest) const;

    store::Storage& storage_;
    model::MemberId id_;
    Sequence sequence_;
};

} // namespace tidemark::repo
