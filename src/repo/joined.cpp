#include "repo/joined.h"

#include "repo/codec_parts.h"
#include "repo/layout.h"
#include "repo/sequence_items.h"

namespace tidemark::repo {

namespace {

constexpr DocumentKind kJoinedDocument{"joined", 1};

} // namespace

base::Bytes encode_joined(const JoinedLog& joined, const CommitHeader& header)
{
    JsonBuilder out{kJoinedDocument};
    write_header(out, header);
    out.text("group", joined.group).text("member", joined.member);
    put_list(out, "pieces", joined.pieces, piece_to_json);
    return out.bytes();
}

StoredJoinedLog decode_joined(base::ByteView bytes, const model::ObjectRef& object)
{
    auto document = JsonDocument::parse(bytes, object.key);
    JsonObject from = document.expect(kJoinedDocument);
    StoredJoinedLog out;
    out.header = read_header(from);
    out.object = object;
    out.value.group = from.text("group");
    out.value.member = from.text("member");
    out.value.pieces = get_list(from, "pieces", read_piece);
    return out;
}

JoinedCatalog::JoinedCatalog(store::Storage& storage, const model::MemberId& id)
    : id_(id), sequence_(storage, joined_prefix(id))
{
}

std::vector<model::PieceRef> JoinedCatalog::pieces() const
{
    auto newest = latest_item(sequence_, decode_joined);
    return newest ? std::move(newest->value.pieces) : std::vector<model::PieceRef>{};
}

void JoinedCatalog::append(const Lease& lease, const std::vector<model::PieceRef>& pieces) const
{
    JoinedLog value{.group = id_.group, .member = id_.member, .pieces = pieces};
    sequence_.append(&lease,
                     [&](const CommitHeader& header) { return encode_joined(value, header); });
}

} // namespace tidemark::repo
