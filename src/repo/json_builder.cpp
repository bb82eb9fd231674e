#include "model/gid_text.h"
#include "repo/base64.h"
#include "repo/json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace tidemark::repo {

namespace {

using OrderedNode = nlohmann::ordered_json;

OrderedNode text_node(std::string_view value)
{
    if (model::is_utf8(value)) return std::string(value);
    return OrderedNode::object({{"base64", to_base64(base::as_bytes(value))}});
}

} // namespace

struct JsonBuilder::Tree {
    OrderedNode root = OrderedNode::object();
};

JsonBuilder::JsonBuilder() : tree_(std::make_unique<Tree>()) {}
JsonBuilder::JsonBuilder(DocumentKind kind) : JsonBuilder()
{
    checked_ = true;
    text("kind", kind.name)
        .number("format", kind.format)
        .text("written_by", "tidemark " TIDEMARK_VERSION);
}
JsonBuilder::JsonBuilder(JsonBuilder&&) noexcept = default;
JsonBuilder& JsonBuilder::operator=(JsonBuilder&&) noexcept = default;
JsonBuilder::~JsonBuilder() = default;

JsonBuilder& JsonBuilder::text(std::string_view name, std::string_view value)
{
    tree_->root[std::string(name)] = text_node(value);
    return *this;
}

JsonBuilder& JsonBuilder::flag(std::string_view name, bool value)
{
    tree_->root[std::string(name)] = value;
    return *this;
}

JsonBuilder& JsonBuilder::number(std::string_view name, std::uint64_t value)
{
    tree_->root[std::string(name)] = value;
    return *this;
}

JsonBuilder& JsonBuilder::signed_number(std::string_view name, std::int64_t value)
{
    tree_->root[std::string(name)] = value;
    return *this;
}

JsonBuilder& JsonBuilder::time(std::string_view name, base::Time value)
{
    return text(name, base::format_time(value));
}

JsonBuilder& JsonBuilder::offset(std::string_view name, model::Offset value)
{
    return text(name, model::format_offset(value));
}

JsonBuilder& JsonBuilder::position(std::string_view name, const model::LogPosition& value)
{
    return text(name, model::format_position(value));
}

JsonBuilder& JsonBuilder::digest(std::string_view name, const model::Digest& value)
{
    return text(name, base::to_hex(value));
}

JsonBuilder& JsonBuilder::object(std::string_view name, JsonBuilder value)
{
    tree_->root[std::string(name)] = std::move(value.tree_->root);
    return *this;
}

JsonBuilder& JsonBuilder::array(std::string_view name, std::vector<JsonBuilder> values)
{
    OrderedNode list = OrderedNode::array();
    for (JsonBuilder& value : values)
        list.push_back(std::move(value.tree_->root));
    tree_->root[std::string(name)] = std::move(list);
    return *this;
}

JsonBuilder& JsonBuilder::texts(std::string_view name, const std::vector<std::string>& values)
{
    OrderedNode list = OrderedNode::array();
    for (const std::string& value : values)
        list.push_back(text_node(value));
    tree_->root[std::string(name)] = std::move(list);
    return *this;
}

JsonBuilder& JsonBuilder::numbers(std::string_view name, const std::vector<std::uint64_t>& values)
{
    OrderedNode list = OrderedNode::array();
    for (std::uint64_t value : values)
        list.push_back(value);
    tree_->root[std::string(name)] = std::move(list);
    return *this;
}

JsonBuilder& JsonBuilder::text_map(std::string_view name,
                                   const std::map<std::string, std::string>& values)
{
    bool plain = std::all_of(values.begin(), values.end(),
                             [](const auto& entry) { return model::is_utf8(entry.first); });
    OrderedNode node = plain ? OrderedNode::object() : OrderedNode::array();
    for (const auto& [key, value] : values) {
        if (plain)
            node[key] = text_node(value);
        else
            node.push_back(
                OrderedNode::object({{"name", text_node(key)}, {"value", text_node(value)}}));
    }
    tree_->root[std::string(name)] = std::move(node);
    return *this;
}

base::Bytes JsonBuilder::bytes() const
{
    if (!checked_) return base::to_bytes(tree_->root.dump(1) + "\n");
    OrderedNode root = tree_->root;
    root["check"] = std::string(64, '0');
    base::Bytes out = base::to_bytes(root.dump(1) + "\n");
    std::string check = json_check(out);
    base::ByteView digits = base::as_bytes(check);
    std::copy(digits.begin(), digits.end(), out.end() - kCheckFromEnd);
    return out;
}

} // namespace tidemark::repo
