#pragma once

#include "base/bytes.h"
#include "base/clock.h"
#include "model/log_position.h"
#include "model/object_ref.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The repository's small objects are JSON. Conventions, see docs/repository-format.md:
///  - offsets are texts "16/B374D848", positions "16/B374D848@3", times ISO 8601 in UTC with
///    microseconds, hashes 64 hex digits, counts numbers without a fraction;
///  - a text that is no UTF-8 is the object {"base64": "..."};
///  - a table one of whose names is no UTF-8 is a list of {"name", "value"};
///  - the last field, "check", is the SHA-256 of the object's bytes with 64 zeros in its place;
///  - unknown fields are tolerated, a missing or mistyped one and a name that occurs twice are not.
namespace tidemark::repo {

/// No small object is larger, and none nests deeper.
inline constexpr std::size_t kMaxJsonBytes = 64u << 20;
inline constexpr int kMaxJsonDepth = 24;

/// One JSON object being read; lives as long as its JsonDocument. Errors: Error{failed} that names
/// the object in the repository and the field.
class JsonObject {
public:
    bool has(std::string_view name) const; ///< present and not null
    std::vector<std::string> names() const;
    std::string text(std::string_view name) const;
    std::optional<std::string> maybe_text(std::string_view name) const;
    bool flag(std::string_view name) const;
    std::uint64_t u64(std::string_view name) const;
    std::uint32_t u32(std::string_view name) const;
    std::optional<std::uint64_t> maybe_u64(std::string_view name) const;
    std::int64_t i64(std::string_view name) const;
    base::Time time(std::string_view name) const;
    std::optional<base::Time> maybe_time(std::string_view name) const;
    model::Offset offset(std::string_view name) const;
    std::optional<model::Offset> maybe_offset(std::string_view name) const;
    model::LogPosition position(std::string_view name) const;
    std::optional<model::LogPosition> maybe_position(std::string_view name) const;
    model::Digest digest(std::string_view name) const;

    JsonObject object(std::string_view name) const;
    std::optional<JsonObject> maybe_object(std::string_view name) const;
    std::vector<std::string> texts(std::string_view name) const;
    std::vector<std::uint64_t> numbers(std::string_view name) const;
    std::map<std::string, std::string> text_map(std::string_view name) const;
    /// Every element of an array of objects.
    void each(std::string_view name, const std::function<void(const JsonObject&)>& visit) const;
    /// Every member of an object of objects, by name.
    void each_named(std::string_view name,
                    const std::function<void(const std::string&, const JsonObject&)>& visit) const;

    /// Error{failed}: "<object>: field <path> <why>".
    [[noreturn]] void refuse(std::string_view name, std::string_view why) const;

private:
    friend class JsonDocument;
    JsonObject(const void* node, std::string path) : node_(node), path_(std::move(path)) {}
    const void* find(std::string_view name) const;
    const void* need(std::string_view name) const;
    std::string name_of(std::string_view name) const;
    std::string text_of(const void* node, std::string_view name) const;

    const void* node_;
    std::string path_; ///< the key, or "groups/shop/marks/0000000007: field members"
};

/// What a document says of itself: its "kind", and the newest "format" that this program knows.
struct DocumentKind {
    std::string_view name;
    std::uint64_t format = 1;
};

/// A parsed object of the repository.
class JsonDocument {
public:
    /// `what` names the object in errors (its key). Foreign bytes: size and depth are bounded.
    static JsonDocument parse(base::ByteView bytes, std::string what);
    JsonDocument(JsonDocument&&) noexcept;
    JsonDocument& operator=(JsonDocument&&) noexcept;
    ~JsonDocument();

    JsonObject root() const;
    /// The root after its "check", "kind" and "format" were checked: wrong bytes and another kind
    /// are Error{failed}, a higher format Error{repository_newer} saying which version is needed.
    JsonObject expect(DocumentKind newest) const;

private:
    struct Tree;
    JsonDocument(std::unique_ptr<Tree> tree, std::string what);
    void require_check() const;
    std::unique_ptr<Tree> tree_;
    std::string what_;
};

/// Builds one JSON object; fields come out in the order of the calls.
class JsonBuilder {
public:
    JsonBuilder();
    /// With "kind", "format" and "written_by" set; bytes() adds "check".
    explicit JsonBuilder(DocumentKind kind);
    JsonBuilder(JsonBuilder&&) noexcept;
    JsonBuilder& operator=(JsonBuilder&&) noexcept;
    ~JsonBuilder();

    JsonBuilder& text(std::string_view name, std::string_view value);
    JsonBuilder& flag(std::string_view name, bool value);
    JsonBuilder& number(std::string_view name, std::uint64_t value);
    JsonBuilder& signed_number(std::string_view name, std::int64_t value);
    JsonBuilder& time(std::string_view name, base::Time value);
    JsonBuilder& offset(std::string_view name, model::Offset value);
    JsonBuilder& position(std::string_view name, const model::LogPosition& value);
    JsonBuilder& digest(std::string_view name, const model::Digest& value);
    JsonBuilder& object(std::string_view name, JsonBuilder value);
    JsonBuilder& array(std::string_view name, std::vector<JsonBuilder> values);
    JsonBuilder& texts(std::string_view name, const std::vector<std::string>& values);
    JsonBuilder& numbers(std::string_view name, const std::vector<std::uint64_t>& values);
    JsonBuilder& text_map(std::string_view name, const std::map<std::string, std::string>& values);

    /// Indented text that ends with a line feed.
    base::Bytes bytes() const;

private:
    struct Tree;
    std::unique_ptr<Tree> tree_;
    bool checked_ = false;
};

/// How many bytes lie between the first digit of "check" and the end of the object.
inline constexpr std::size_t kCheckFromEnd = 64 + 4;
/// The value that "check" must have: its own digits count as zeros.
std::string json_check(base::ByteView bytes);

} // namespace tidemark::repo
