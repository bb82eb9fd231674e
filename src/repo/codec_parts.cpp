#include "repo/codec_parts.h"

#include <limits>

namespace tidemark::repo {

JsonBuilder to_json(const model::ObjectRef& ref)
{
    JsonBuilder out;
    out.text("key", ref.key).number("size", ref.size).digest("sha256", ref.sha256);
    return out;
}

model::ObjectRef object_ref(const JsonObject& from)
{
    return {.key = from.text("key"), .size = from.u64("size"), .sha256 = from.digest("sha256")};
}

JsonBuilder piece_to_json(const model::PieceRef& piece)
{
    JsonBuilder out = log_range_to_json(piece.range);
    out.text("key", piece.object.key)
        .number("size", piece.object.size)
        .digest("sha256", piece.object.sha256);
    return out;
}

model::PieceRef read_piece(const JsonObject& from)
{
    model::PieceRef out;
    out.range = read_log_range(from);
    if (out.range.from >= out.range.to) from.refuse("to", "does not lie after \"from\"");
    out.object = object_ref(from);
    return out;
}

JsonBuilder log_range_to_json(const model::LogRange& range)
{
    JsonBuilder out;
    out.number("epoch", range.epoch).offset("from", range.from).offset("to", range.to);
    return out;
}

model::LogRange read_log_range(const JsonObject& from)
{
    return {.epoch = from.u32("epoch"), .from = from.offset("from"), .to = from.offset("to")};
}

JsonBuilder to_json(const model::History& history)
{
    JsonBuilder out;
    out.number("epoch", history.current());
    put_list(out, "ancestors", history.ancestors(), [](const model::History::Step& step) {
        JsonBuilder line;
        line.number("epoch", step.epoch).offset("left_at", step.left_at);
        return line;
    });
    return out;
}

model::History history(const JsonObject& from)
{
    auto ancestors = get_list(from, "ancestors", [](const JsonObject& line) {
        return model::History::Step{.epoch = line.u32("epoch"), .left_at = line.offset("left_at")};
    });
    return model::History{from.u32("epoch"), std::move(ancestors)};
}

JsonBuilder to_json(const model::Identity& identity)
{
    JsonBuilder out;
    out.text("engine", identity.engine)
        .text("system_id", identity.system_id)
        .signed_number("version_num", identity.version_num)
        .text("version", identity.version);
    put_position(out, "position", identity.position);
    out.number("log_segment_size", identity.log_segment_size)
        .number("page_size", identity.page_size)
        .flag("page_checksums", identity.page_checksums)
        .flag("in_recovery", identity.in_recovery);
    put_text(out, "data_directory", identity.data_directory);
    out.text_map("settings", identity.settings);
    return out;
}

model::Identity identity(const JsonObject& from)
{
    model::Identity out;
    out.engine = from.text("engine");
    out.system_id = from.text("system_id");
    std::uint32_t version = from.u32("version_num");
    if (version > std::uint32_t{std::numeric_limits<int>::max()})
        from.refuse("version_num", "is too large");
    out.version_num = static_cast<int>(version);
    out.version = from.text("version");
    out.position = get_position(from, "position");
    out.log_segment_size = from.u32("log_segment_size");
    out.page_size = from.u32("page_size");
    out.page_checksums = from.flag("page_checksums");
    out.in_recovery = from.flag("in_recovery");
    out.data_directory = get_text(from, "data_directory");
    out.settings = from.text_map("settings");
    return out;
}

JsonBuilder sweep_to_json(const model::Sweep& sweep)
{
    JsonBuilder out;
    for (const auto& [name, offset] : sweep)
        out.offset(name, offset);
    return out;
}

model::Sweep sweep(const JsonObject& from)
{
    model::Sweep out;
    for (const std::string& name : from.names())
        out.emplace(name, from.offset(name));
    return out;
}

void put_position(JsonBuilder& into, std::string_view name, const model::LogPosition& value)
{
    if (value.epoch != 0) into.position(name, value);
}
model::LogPosition get_position(const JsonObject& from, std::string_view name)
{
    return from.maybe_position(name).value_or(model::LogPosition{});
}

void put_text(JsonBuilder& into, std::string_view name, std::string_view value)
{
    if (!value.empty()) into.text(name, value);
}
std::string get_text(const JsonObject& from, std::string_view name)
{
    return from.maybe_text(name).value_or("");
}

void put_time(JsonBuilder& into, std::string_view name, base::Time value)
{
    if (value != base::Time{}) into.time(name, value);
}
base::Time get_time(const JsonObject& from, std::string_view name)
{
    return from.maybe_time(name).value_or(base::Time{});
}

void put_number(JsonBuilder& into, std::string_view name, std::uint64_t value)
{
    if (value != 0) into.number(name, value);
}
std::uint64_t get_number(const JsonObject& from, std::string_view name)
{
    return from.maybe_u64(name).value_or(0);
}
std::uint32_t get_u32(const JsonObject& from, std::string_view name)
{
    return from.has(name) ? from.u32(name) : 0;
}

void put_offset(JsonBuilder& into, std::string_view name, model::Offset value)
{
    if (value != 0) into.offset(name, value);
}
model::Offset get_offset(const JsonObject& from, std::string_view name)
{
    return from.maybe_offset(name).value_or(0);
}

void put_flag(JsonBuilder& into, std::string_view name, bool value)
{
    if (value) into.flag(name, true);
}
bool get_flag(const JsonObject& from, std::string_view name)
{
    return from.has(name) && from.flag(name);
}

} // namespace tidemark::repo
