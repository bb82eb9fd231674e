#pragma once

#include "model/backup_set.h"
#include "model/identity.h"
#include "model/log_position.h"
#include "model/object_ref.h"
#include "model/open_transactions.h"
#include "model/run.h"
#include "repo/json.h"

#include <optional>
#include <string_view>
#include <vector>

// Parts that several of the repository's JSON objects have in common. For codecs only.
namespace tidemark::repo {

JsonBuilder to_json(const model::ObjectRef& ref);
model::ObjectRef object_ref(const JsonObject& from);

JsonBuilder piece_to_json(const model::PieceRef& piece);
model::PieceRef read_piece(const JsonObject& from);

JsonBuilder log_range_to_json(const model::LogRange& range);
/// As it stands there; whether it is empty or turned round is the caller's business.
model::LogRange read_log_range(const JsonObject& from);

JsonBuilder to_json(const model::History& history);
model::History history(const JsonObject& from);

JsonBuilder to_json(const model::Identity& identity);
model::Identity identity(const JsonObject& from);

/// Positions by member.
JsonBuilder sweep_to_json(const model::Sweep& sweep);
model::Sweep sweep(const JsonObject& from);

/// Into and from the object itself.
void put_run(JsonBuilder& into, const model::Run& run);
model::Run get_run(const JsonObject& from);

/// Absent stands for the default in each of these.
void put_position(JsonBuilder& into, std::string_view name, const model::LogPosition& value);
model::LogPosition get_position(const JsonObject& from, std::string_view name);
void put_text(JsonBuilder& into, std::string_view name, std::string_view value);
std::string get_text(const JsonObject& from, std::string_view name);
void put_time(JsonBuilder& into, std::string_view name, base::Time value);
base::Time get_time(const JsonObject& from, std::string_view name);
void put_number(JsonBuilder& into, std::string_view name, std::uint64_t value);
std::uint64_t get_number(const JsonObject& from, std::string_view name);
std::uint32_t get_u32(const JsonObject& from, std::string_view name);
void put_offset(JsonBuilder& into, std::string_view name, model::Offset value);
model::Offset get_offset(const JsonObject& from, std::string_view name);
void put_flag(JsonBuilder& into, std::string_view name, bool value);
bool get_flag(const JsonObject& from, std::string_view name);

/// A list of objects; `make` is called for each value.
template <typename T, typename Make>
void put_list(JsonBuilder& into, std::string_view name, const std::vector<T>& values, Make make)
{
    std::vector<JsonBuilder> list;
    list.reserve(values.size());
    for (const T& value : values)
        list.push_back(make(value));
    into.array(name, std::move(list));
}

/// The inverse; an absent list is an empty one.
template <typename Read> auto get_list(const JsonObject& from, std::string_view name, Read read)
{
    std::vector<decltype(read(from))> out;
    if (from.has(name))
        from.each(name, [&](const JsonObject& element) { out.push_back(read(element)); });
    return out;
}

/// An enumeration by its names; an unknown name is refused.
template <typename Enum> struct EnumName {
    Enum value;
    std::string_view name;
};
template <typename Enum, std::size_t N>
std::string_view enum_name(const EnumName<Enum> (&table)[N], Enum value)
{
    for (const auto& entry : table)
        if (entry.value == value) return entry.name;
    return "?";
}
template <typename Enum, std::size_t N>
Enum get_enum(const JsonObject& from, std::string_view name, const EnumName<Enum> (&table)[N])
{
    std::string text = from.text(name);
    for (const auto& entry : table)
        if (entry.name == text) return entry.value;
    from.refuse(name, "is \"" + text + "\", which this version does not know");
}

} // namespace tidemark::repo
