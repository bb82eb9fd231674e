#include "base/error.h"
#include "repo/json.h"
#include "stream/checksum.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <set>

namespace tidemark::repo {

using base::Code;
using base::Error;
using Node = nlohmann::json;

namespace {

/// Refuses what the parser would let pass: names that occur twice, and depth.
class Watch {
public:
    explicit Watch(const std::string& what) : what_(what) {}

    bool operator()(int depth, Node::parse_event_t event, const Node& value)
    {
        using Event = Node::parse_event_t;
        if (depth > kMaxJsonDepth)
            throw Error{Code::failed, fmt::format("{} nests deeper than {}", what_, kMaxJsonDepth)};
        if (event == Event::object_start) names_.emplace_back();
        if (event == Event::object_end) names_.pop_back();
        if (event == Event::key && !names_.back().insert(value.get<std::string>()).second)
            throw Error{Code::failed, fmt::format("{} holds the field {} twice", what_,
                                                  value.get<std::string>())};
        return true;
    }

private:
    const std::string& what_;
    std::vector<std::set<std::string>> names_;
};

/// What a text says of itself without being parsed.
struct Outline {
    int depth = 0;
    std::size_t names = 0; ///< colons outside of texts
};

Outline outline(std::string_view text)
{
    Outline out;
    int depth = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        switch (text[i]) {
        case '{':
        case '[':
            out.depth = std::max(out.depth, ++depth);
            break;
        case '}':
        case ']':
            --depth;
            break;
        case ':':
            ++out.names;
            break;
        case '"':
            for (++i; i < text.size() && text[i] != '"'; ++i)
                if (text[i] == '\\') ++i;
            break;
        default:
            break;
        }
    }
    return out;
}

std::size_t count_names(const Node& node)
{
    std::size_t count = node.is_object() ? node.size() : 0;
    if (node.is_structured())
        for (const Node& child : node)
            count += count_names(child);
    return count;
}

/// The parser keeps the last of two equal names, so then there are fewer than the text has.
/// Watching each event costs as much as parsing: that is left to the texts that are refused.
Node parse_tree(std::string_view text, const std::string& what)
{
    Outline seen = outline(text);
    if (seen.depth <= kMaxJsonDepth) {
        Node tree = Node::parse(text);
        if (count_names(tree) == seen.names) return tree;
    }
    return Node::parse(text, Watch{what});
}

} // namespace

struct JsonDocument::Tree {
    Node root;
    std::string check; ///< as it must be
};

JsonDocument::JsonDocument(std::unique_ptr<Tree> tree, std::string what)
    : tree_(std::move(tree)), what_(std::move(what))
{
}
JsonDocument::JsonDocument(JsonDocument&&) noexcept = default;
JsonDocument& JsonDocument::operator=(JsonDocument&&) noexcept = default;
JsonDocument::~JsonDocument() = default;

JsonDocument JsonDocument::parse(base::ByteView bytes, std::string what)
{
    if (bytes.size() > kMaxJsonBytes)
        throw Error{Code::failed, fmt::format("{} has {} bytes, more than {}", what, bytes.size(),
                                              kMaxJsonBytes)};
    auto tree = std::make_unique<Tree>();
    try {
        tree->root = parse_tree(base::as_text(bytes), what);
    } catch (const Node::parse_error& error) {
        throw Error{Code::failed,
                    fmt::format("{} is damaged: it is no JSON from byte {} on", what, error.byte),
                    {.hint = "run `tidemark verify` to see what it costs"}};
    } catch (const Node::exception&) {
        throw Error{Code::failed,
                    fmt::format("{} is damaged: it is no JSON", what),
                    {.hint = "run `tidemark verify` to see what it costs"}};
    }
    if (!tree->root.is_object())
        throw Error{Code::failed, fmt::format("{} is no JSON object", what)};
    if (bytes.size() > kCheckFromEnd) tree->check = json_check(bytes);
    return JsonDocument{std::move(tree), std::move(what)};
}

JsonObject JsonDocument::root() const
{
    return JsonObject{&tree_->root, what_};
}

std::string json_check(base::ByteView bytes)
{
    static constexpr std::string_view kZeros =
        "0000000000000000000000000000000000000000000000000000000000000000";
    stream::Sha256 hash;
    hash.update(bytes.first(bytes.size() - kCheckFromEnd));
    hash.update(base::as_bytes(kZeros));
    hash.update(bytes.last(kCheckFromEnd - kZeros.size()));
    return base::to_hex(hash.digest());
}

void JsonDocument::require_check() const
{
    auto at = tree_->root.find("check");
    if (at == tree_->root.end() || !at->is_string() || *at != tree_->check)
        throw Error{Code::failed,
                    fmt::format("{} is damaged: its bytes are not those that were written", what_),
                    {.hint = "run `tidemark verify` to see what it costs"}};
}

JsonObject JsonDocument::expect(DocumentKind newest) const
{
    require_check();
    JsonObject object = root();
    if (object.text("kind") != newest.name)
        object.refuse("kind", fmt::format("is \"{}\" and should be \"{}\"", object.text("kind"),
                                          newest.name));
    std::uint64_t format = object.u64("format");
    if (format == 0) object.refuse("format", "is 0");
    if (format > newest.format)
        throw Error{Code::repository_newer,
                    fmt::format("{} is written in format {} of \"{}\"; this program reads up to {}",
                                what_, format, newest.name, newest.format),
                    {.hint = fmt::format(
                         "use {} or a newer version",
                         object.maybe_text("written_by").value_or("the version that wrote it"))}};
    return object;
}

} // namespace tidemark::repo
