#include "repo/codec_parts.h"
#include "repo/identities.h"

namespace tidemark::repo {

namespace {

constexpr DocumentKind kMemberDocument{"member", 1};

JsonBuilder seed_to_json(const model::Seed& seed)
{
    JsonBuilder out;
    out.number("xid", seed.xid).text("gid", seed.gid).time("prepared_at", seed.prepared_at);
    out.number("database", seed.database);
    put_text(out, "database_name", seed.database_name);
    out.number("owner", seed.owner);
    put_text(out, "owner_name", seed.owner_name);
    put_flag(out, "gone", seed.gone);
    return out;
}

model::Seed read_seed(const JsonObject& from)
{
    return {.xid = from.u32("xid"),
            .gid = from.text("gid"),
            .prepared_at = from.time("prepared_at"),
            .database = from.u32("database"),
            .database_name = get_text(from, "database_name"),
            .owner = from.u32("owner"),
            .owner_name = get_text(from, "owner_name"),
            .gone = get_flag(from, "gone")};
}

} // namespace

base::Bytes encode_identity(const model::MemberIdentity& member, const CommitHeader& header)
{
    JsonBuilder out{kMemberDocument};
    write_header(out, header);
    out.text("group", member.group)
        .text("member", member.member)
        .object("identity", to_json(member.identity))
        .text("slot", member.slot)
        .position("log_start", member.log_start);
    put_list(out, "seeds", member.seeds, seed_to_json);
    put_list(out, "anchor", member.anchor, sweep_to_json);
    if (member.history) out.text("history", *member.history);
    out.time("recorded", member.recorded).text("reason", member.reason);
    return out.bytes();
}

StoredIdentity decode_identity(base::ByteView bytes, const model::ObjectRef& object)
{
    auto document = JsonDocument::parse(bytes, object.key);
    JsonObject from = document.expect(kMemberDocument);
    StoredIdentity out;
    out.header = read_header(from);
    out.object = object;
    model::MemberIdentity& value = out.value;
    value.group = from.text("group");
    value.member = from.text("member");
    value.identity = identity(from.object("identity"));
    value.slot = from.text("slot");
    value.log_start = from.position("log_start");
    value.seeds = get_list(from, "seeds", read_seed);
    value.anchor = get_list(from, "anchor", sweep);
    value.history = from.maybe_text("history");
    value.recorded = from.time("recorded");
    value.reason = from.text("reason");
    return out;
}

} // namespace tidemark::repo
