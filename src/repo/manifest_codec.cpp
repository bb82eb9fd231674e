#include "repo/backups.h"
#include "repo/codec_parts.h"

namespace tidemark::repo {

namespace {

constexpr DocumentKind kBackupDocument{"backup", 1};

constexpr EnumName<model::BackupType> kTypes[] = {{model::BackupType::full, "full"}};

std::map<std::string, std::string> by_text(const std::map<std::uint32_t, std::string>& from)
{
    std::map<std::string, std::string> out;
    for (const auto& [oid, name] : from)
        out.emplace(std::to_string(oid), name);
    return out;
}

std::map<std::uint32_t, std::string> by_oid(const JsonObject& from, std::string_view name)
{
    std::map<std::uint32_t, std::string> out;
    for (const auto& [key, value] : from.text_map(name)) {
        bool digits = !key.empty() && key.size() <= 10 &&
                      key.find_first_not_of("0123456789") == std::string::npos;
        std::uint64_t oid = digits ? std::stoull(key) : UINT64_MAX;
        if (oid > UINT32_MAX) from.refuse(name, "holds a key that is no oid");
        out.emplace(static_cast<std::uint32_t>(oid), value);
    }
    return out;
}

JsonBuilder captured_file(const model::CapturedFile& file)
{
    JsonBuilder out;
    out.text("path", file.path).text("role", file.role);
    if (file.content) out.text("content", *file.content);
    return out;
}

JsonBuilder facts_to_json(const model::BackupFacts& facts)
{
    JsonBuilder out;
    put_list(out, "captured", facts.captured, captured_file);
    out.text("bootstrap_superuser", facts.bootstrap_superuser)
        .text_map("databases", by_text(facts.databases))
        .text_map("collation_versions", facts.collation_versions)
        .text_map("settings", facts.settings)
        .text_map("tablespaces", by_text(facts.tablespaces));
    return out;
}

model::BackupFacts read_facts(const JsonObject& from)
{
    model::BackupFacts out;
    out.captured = get_list(from, "captured", [](const JsonObject& file) {
        return model::CapturedFile{.path = file.text("path"),
                                   .role = file.text("role"),
                                   .content = file.maybe_text("content")};
    });
    out.bootstrap_superuser = from.text("bootstrap_superuser");
    out.databases = by_oid(from, "databases");
    out.collation_versions = from.text_map("collation_versions");
    out.settings = from.text_map("settings");
    out.tablespaces = by_oid(from, "tablespaces");
    return out;
}

JsonBuilder pack_to_json(const model::PackRef& pack)
{
    JsonBuilder out;
    out.text("key", pack.key)
        .number("size", pack.size)
        .number("frames", pack.frames)
        .number("plain_bytes", pack.plain_bytes)
        .digest("root", pack.root);
    return out;
}

model::PackRef read_pack(const JsonObject& from)
{
    return {.key = from.text("key"),
            .size = from.u64("size"),
            .frames = from.u32("frames"),
            .plain_bytes = from.u64("plain_bytes"),
            .root = from.digest("root")};
}

JsonBuilder totals_to_json(const model::BackupTotals& totals)
{
    JsonBuilder out;
    out.number("files", totals.files)
        .number("plain_bytes", totals.plain_bytes)
        .number("file_bytes", totals.file_bytes)
        .number("stored_bytes", totals.stored_bytes)
        .number("pages_verified", totals.pages_verified)
        .number("pages_reread", totals.pages_reread);
    if (totals.pages_damaged != 0) out.number("pages_damaged", totals.pages_damaged);
    return out;
}

model::BackupTotals read_totals(const JsonObject& from)
{
    return {.files = from.u64("files"),
            .plain_bytes = from.u64("plain_bytes"),
            .file_bytes = from.u64("file_bytes"),
            .stored_bytes = from.u64("stored_bytes"),
            .pages_verified = from.u64("pages_verified"),
            .pages_reread = from.u64("pages_reread"),
            .pages_damaged = from.maybe_u64("pages_damaged").value_or(0)};
}

JsonBuilder damage_to_json(const model::DamagedPage& page)
{
    JsonBuilder out;
    out.text("path", page.path).number("block", page.block).text("why", page.why);
    return out;
}

} // namespace

base::Bytes encode_manifest(const model::Manifest& manifest, const CommitHeader& header)
{
    JsonBuilder out{kBackupDocument};
    write_header(out, header);
    out.text("group", manifest.group)
        .text("member", manifest.member)
        .text("type", enum_name(kTypes, manifest.type))
        .flag("over_wire", manifest.over_wire)
        .position("start", manifest.start)
        .position("stop", manifest.stop);
    put_position(out, "checkpoint", manifest.checkpoint);
    out.time("started", manifest.started)
        .time("ended", manifest.ended)
        .text("backup_label", manifest.backup_label)
        .text("tablespace_map", manifest.tablespace_map)
        .object("identity", to_json(manifest.identity))
        .object("history", to_json(manifest.history))
        .object("facts", facts_to_json(manifest.facts))
        .object("totals", totals_to_json(manifest.totals))
        .object("page_map", to_json(manifest.page_map));
    put_list(out, "packs", manifest.packs, pack_to_json);
    put_list(out, "damaged", manifest.damaged, damage_to_json);
    out.numbers("prepared_xids", {manifest.prepared_xids.begin(), manifest.prepared_xids.end()});
    return out.bytes();
}

StoredManifest decode_manifest(base::ByteView bytes, const model::ObjectRef& object)
{
    auto document = JsonDocument::parse(bytes, object.key);
    JsonObject from = document.expect(kBackupDocument);
    StoredManifest out;
    out.header = read_header(from);
    out.object = object;
    model::Manifest& value = out.value;
    value.group = from.text("group");
    value.member = from.text("member");
    value.type = get_enum(from, "type", kTypes);
    value.over_wire = from.flag("over_wire");
    value.start = from.position("start");
    value.checkpoint = get_position(from, "checkpoint");
    value.stop = from.position("stop");
    value.started = from.time("started");
    value.ended = from.time("ended");
    value.backup_label = from.text("backup_label");
    value.tablespace_map = from.text("tablespace_map");
    value.identity = identity(from.object("identity"));
    value.history = history(from.object("history"));
    value.facts = read_facts(from.object("facts"));
    value.totals = read_totals(from.object("totals"));
    value.page_map = object_ref(from.object("page_map"));
    value.packs = get_list(from, "packs", read_pack);
    value.damaged = get_list(from, "damaged", [](const JsonObject& page) {
        return model::DamagedPage{
            .path = page.text("path"), .block = page.u64("block"), .why = page.text("why")};
    });
    for (std::uint64_t xid : from.numbers("prepared_xids")) {
        if (xid > UINT32_MAX) from.refuse("prepared_xids", "holds a number that is no xid");
        value.prepared_xids.push_back(static_cast<std::uint32_t>(xid));
    }
    return out;
}

} // namespace tidemark::repo
