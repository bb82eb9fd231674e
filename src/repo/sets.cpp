#include "repo/sets.h"

#include "base/error.h"
#include "repo/layout.h"
#include "repo/sequence_items.h"
#include "stream/checksum.h"

#include <algorithm>
#include <set>

namespace tidemark::repo {

Sets::Sets(store::Storage& storage, const std::string& group)
    : group_(group), sequence_(storage, sets_prefix(group))
{
}

std::optional<StoredSet> Sets::load(model::Number number) const
{
    return load_asked(sequence_, number, decode_set);
}

std::optional<StoredSet> Sets::latest() const
{
    return latest_item(sequence_, decode_set);
}

std::vector<StoredSet> Sets::list(std::size_t limit) const
{
    return list_items(sequence_, limit, decode_set);
}

StoredSet Sets::append(const Lease& lease, const model::BackupSet& set) const
{
    StoredSet out;
    out.value = set;
    out.value.group = group_;
    auto committed = sequence_.append(
        &lease, [&](const CommitHeader& header) { return encode_set(out.value, header); });
    out.header = std::move(committed.header);
    out.object = std::move(committed.object);
    return out;
}

namespace {

/// Hashes an object in parts.
model::ObjectRef hash_object(store::Storage& storage, const std::string& key)
{
    auto source = storage.open(key);
    if (!source)
        throw base::Error{base::Code::failed,
                          key + " vanished while it was read",
                          {.hint = "run the same command again", .transient = true}};
    stream::Sha256 hash;
    model::ObjectRef out{.key = key, .size = 0, .sha256 = {}};
    base::Bytes buffer(1 << 20);
    while (std::size_t got = source->read(buffer)) {
        hash.update(base::ByteView(buffer).first(got));
        out.size += got;
    }
    out.sha256 = hash.digest();
    return out;
}

/// Everything that existed when the set was closed was named then; a member's log only grows.
bool is_settled(const LogPiece& piece, const std::optional<model::LogPosition>& log_to)
{
    if (!log_to) return false;
    if (piece.range.epoch != log_to->epoch) return piece.range.epoch < log_to->epoch;
    return piece.range.to <= log_to->offset;
}

} // namespace

std::vector<model::PieceRef> unnamed_pieces(store::Storage& storage, const LogCatalog& catalog,
                                            const std::vector<StoredSet>& sets,
                                            const std::vector<model::PieceRef>& known)
{
    std::set<std::string_view> named;
    for (const StoredSet& set : sets) {
        auto member = set.value.members.find(catalog.id.member);
        if (member == set.value.members.end()) continue;
        for (const model::PieceRef& piece : member->second.pieces)
            named.insert(piece.object.key);
    }
    std::optional<model::LogPosition> log_to;
    if (!sets.empty()) {
        auto member = sets.front().value.members.find(catalog.id.member);
        if (member != sets.front().value.members.end()) log_to = member->second.log_to;
    }
    std::vector<model::PieceRef> out;
    for (const LogPiece& piece : catalog.pieces) {
        if (named.contains(piece.key) || is_settled(piece, log_to)) continue;
        auto at = std::find_if(known.begin(), known.end(), [&](const model::PieceRef& ref) {
            return ref.object.key == piece.key;
        });
        if (at != known.end())
            out.push_back(*at);
        else
            out.push_back({.range = piece.range, .object = hash_object(storage, piece.key)});
    }
    return out;
}

} // namespace tidemark::repo
