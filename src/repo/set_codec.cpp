#include "repo/codec_parts.h"
#include "repo/sets.h"

namespace tidemark::repo {

namespace {

constexpr DocumentKind kSetDocument{"set", 1};

constexpr EnumName<model::SetKind> kKinds[] = {{model::SetKind::full, "full"},
                                               {model::SetKind::log, "log"}};

JsonBuilder member_to_json(const model::SetMember& member)
{
    JsonBuilder out;
    if (member.backup) out.number("backup", *member.backup);
    if (member.log_from) out.position("log_from", *member.log_from);
    if (member.log_to) out.position("log_to", *member.log_to);
    put_list(out, "pieces", member.pieces, piece_to_json);
    return out;
}

model::SetMember read_member(const JsonObject& from)
{
    return {.backup = from.maybe_u64("backup"),
            .pieces = get_list(from, "pieces", read_piece),
            .log_from = from.maybe_position("log_from"),
            .log_to = from.maybe_position("log_to")};
}

} // namespace

base::Bytes encode_set(const model::BackupSet& set, const CommitHeader& header)
{
    JsonBuilder out{kSetDocument};
    write_header(out, header);
    out.text("group", set.group)
        .text("set_kind", enum_name(kKinds, set.kind))
        .number("mark", set.mark)
        .time("started", set.started)
        .time("ended", set.ended);
    JsonBuilder members;
    for (const auto& [name, member] : set.members)
        members.object(name, member_to_json(member));
    out.object("members", std::move(members));
    return out.bytes();
}

StoredSet decode_set(base::ByteView bytes, const model::ObjectRef& object)
{
    auto document = JsonDocument::parse(bytes, object.key);
    JsonObject from = document.expect(kSetDocument);
    StoredSet out;
    out.header = read_header(from);
    out.object = object;
    out.value.group = from.text("group");
    out.value.kind = get_enum(from, "set_kind", kKinds);
    out.value.mark = from.u64("mark");
    out.value.started = from.time("started");
    out.value.ended = from.time("ended");
    from.each_named("members", [&](const std::string& name, const JsonObject& member) {
        out.value.members.emplace(name, read_member(member));
    });
    return out;
}

} // namespace tidemark::repo
