#include "repo/json.h"

#include "base/error.h"
#include "repo/base64.h"

#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <nlohmann/json.hpp>

namespace tidemark::repo {

using base::Code;
using base::Error;
using Node = nlohmann::json;

const void* JsonObject::find(std::string_view name) const
{
    const Node& node = *static_cast<const Node*>(node_);
    auto at = node.find(name);
    return at == node.end() || at->is_null() ? nullptr : &*at;
}

std::string JsonObject::name_of(std::string_view name) const
{
    bool top = path_.find(": ") == std::string::npos;
    return fmt::format("{}{}{}", path_, top ? ": field " : ".", name);
}

void JsonObject::refuse(std::string_view name, std::string_view why) const
{
    throw Error{Code::failed,
                fmt::format("{} {}", name_of(name), why),
                {.hint = "run `tidemark verify` to see what is damaged and what it costs"}};
}

const void* JsonObject::need(std::string_view name) const
{
    const void* node = find(name);
    if (node == nullptr) refuse(name, "is missing");
    return node;
}

std::string JsonObject::text_of(const void* node, std::string_view name) const
{
    const Node& value = *static_cast<const Node*>(node);
    if (value.is_string()) return value.get<std::string>();
    if (!value.is_object()) refuse(name, "should be a text");
    auto encoded = value.find("base64");
    if (value.size() != 1 || encoded == value.end() || !encoded->is_string())
        refuse(name, "should be a text");
    auto bytes = from_base64(encoded->get_ref<const std::string&>());
    if (!bytes) refuse(name, "holds broken base64");
    return std::string(base::as_text(*bytes));
}

bool JsonObject::has(std::string_view name) const
{
    return find(name) != nullptr;
}

std::vector<std::string> JsonObject::names() const
{
    std::vector<std::string> out;
    for (const auto& entry : static_cast<const Node*>(node_)->items())
        out.push_back(entry.key());
    return out;
}

std::string JsonObject::text(std::string_view name) const
{
    return text_of(need(name), name);
}

std::optional<std::string> JsonObject::maybe_text(std::string_view name) const
{
    const void* node = find(name);
    if (node == nullptr) return std::nullopt;
    return text_of(node, name);
}

bool JsonObject::flag(std::string_view name) const
{
    const Node& value = *static_cast<const Node*>(need(name));
    if (!value.is_boolean()) refuse(name, "should be true or false");
    return value.get<bool>();
}

std::uint64_t JsonObject::u64(std::string_view name) const
{
    const Node& value = *static_cast<const Node*>(need(name));
    if (!value.is_number_unsigned()) refuse(name, "should be a number without sign or fraction");
    return value.get<std::uint64_t>();
}

std::uint32_t JsonObject::u32(std::string_view name) const
{
    std::uint64_t value = u64(name);
    if (value > std::numeric_limits<std::uint32_t>::max()) refuse(name, "is too large");
    return static_cast<std::uint32_t>(value);
}

std::optional<std::uint64_t> JsonObject::maybe_u64(std::string_view name) const
{
    if (!has(name)) return std::nullopt;
    return u64(name);
}

std::int64_t JsonObject::i64(std::string_view name) const
{
    const Node& value = *static_cast<const Node*>(need(name));
    if (!value.is_number_integer()) refuse(name, "should be a number without a fraction");
    if (value.is_number_unsigned() &&
        value.get<std::uint64_t>() > std::uint64_t{std::numeric_limits<std::int64_t>::max()})
        refuse(name, "is too large");
    return value.get<std::int64_t>();
}

base::Time JsonObject::time(std::string_view name) const
{
    auto value = base::parse_time(text(name));
    if (!value) refuse(name, "should be a time like 2026-11-22T14:31:07.123456Z");
    return *value;
}

std::optional<base::Time> JsonObject::maybe_time(std::string_view name) const
{
    if (!has(name)) return std::nullopt;
    return time(name);
}

model::Offset JsonObject::offset(std::string_view name) const
{
    auto value = model::parse_offset(text(name));
    if (!value) refuse(name, "should be a log offset like 16/B374D848");
    return *value;
}

std::optional<model::Offset> JsonObject::maybe_offset(std::string_view name) const
{
    if (!has(name)) return std::nullopt;
    return offset(name);
}

model::LogPosition JsonObject::position(std::string_view name) const
{
    auto value = model::parse_position(text(name));
    if (!value) refuse(name, "should be a log position like 16/B374D848@3");
    return *value;
}

std::optional<model::LogPosition> JsonObject::maybe_position(std::string_view name) const
{
    if (!has(name)) return std::nullopt;
    return position(name);
}

model::Digest JsonObject::digest(std::string_view name) const
{
    auto bytes = base::from_hex(text(name));
    model::Digest digest;
    if (!bytes || bytes->size() != digest.size()) refuse(name, "should be 64 hexadecimal digits");
    std::copy(bytes->begin(), bytes->end(), digest.begin());
    return digest;
}

JsonObject JsonObject::object(std::string_view name) const
{
    const void* node = need(name);
    if (!static_cast<const Node*>(node)->is_object()) refuse(name, "should be an object");
    return JsonObject{node, name_of(name)};
}

std::optional<JsonObject> JsonObject::maybe_object(std::string_view name) const
{
    if (!has(name)) return std::nullopt;
    return object(name);
}

namespace {

const Node& need_array(const JsonObject& object, const void* node, std::string_view name)
{
    const Node& value = *static_cast<const Node*>(node);
    if (!value.is_array()) object.refuse(name, "should be a list");
    return value;
}

} // namespace

std::vector<std::string> JsonObject::texts(std::string_view name) const
{
    std::vector<std::string> out;
    for (const Node& value : need_array(*this, need(name), name))
        out.push_back(text_of(&value, name));
    return out;
}

std::vector<std::uint64_t> JsonObject::numbers(std::string_view name) const
{
    std::vector<std::uint64_t> out;
    for (const Node& value : need_array(*this, need(name), name)) {
        if (!value.is_number_unsigned())
            refuse(name, "should hold numbers without sign or fraction");
        out.push_back(value.get<std::uint64_t>());
    }
    return out;
}

std::map<std::string, std::string> JsonObject::text_map(std::string_view name) const
{
    const Node& value = *static_cast<const Node*>(need(name));
    std::map<std::string, std::string> out;
    if (value.is_array()) {
        each(name, [&](const JsonObject& entry) {
            if (!out.emplace(entry.text("name"), entry.text("value")).second)
                refuse(name, "holds a name twice");
        });
        return out;
    }
    if (!value.is_object()) refuse(name, "should be an object");
    for (const auto& [key, item] : value.items())
        out.emplace(key, text_of(&item, name));
    return out;
}

void JsonObject::each(std::string_view name,
                      const std::function<void(const JsonObject&)>& visit) const
{
    std::size_t index = 0;
    for (const Node& value : need_array(*this, need(name), name)) {
        std::string path = fmt::format("{}[{}]", name_of(name), index++);
        if (!value.is_object()) refuse(name, "should hold objects");
        visit(JsonObject{&value, std::move(path)});
    }
}

void JsonObject::each_named(
    std::string_view name,
    const std::function<void(const std::string&, const JsonObject&)>& visit) const
{
    const Node& value = *static_cast<const Node*>(need(name));
    if (!value.is_object()) refuse(name, "should be an object");
    for (const auto& [key, item] : value.items()) {
        if (!item.is_object()) refuse(name, "should hold objects");
        visit(key, JsonObject{&item, fmt::format("{}.{}", name_of(name), key)});
    }
}

} // namespace tidemark::repo
