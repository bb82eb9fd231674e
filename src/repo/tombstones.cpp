#include "repo/tombstones.h"

#include "repo/codec_parts.h"
#include "repo/layout.h"
#include "repo/sequence_items.h"

#include <charconv>
#include <fmt/format.h>

namespace tidemark::repo {

namespace {

constexpr DocumentKind kTombstoneDocument{"tombstone", 1};

std::string range_text(const model::NumberRange& range)
{
    return range.first == range.last ? std::to_string(range.first)
                                     : fmt::format("{}-{}", range.first, range.last);
}

std::optional<model::Number> number_of(std::string_view text)
{
    model::Number number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size() || number == 0 ||
        number > model::kMaxNumber)
        return std::nullopt;
    return number;
}

model::NumberRange read_range(const std::string& text, const JsonObject& from)
{
    auto dash = text.find('-');
    auto first = number_of(std::string_view(text).substr(0, dash));
    auto last =
        dash == std::string::npos ? first : number_of(std::string_view(text).substr(dash + 1));
    if (!first || !last || *last < *first) from.refuse("numbers", "holds no range of numbers");
    return {.first = *first, .last = *last};
}

} // namespace

base::Bytes encode_tombstone(const model::Tombstone& tombstone, const CommitHeader& header)
{
    JsonBuilder out{kTombstoneDocument};
    write_header(out, header);
    out.text("group", tombstone.group).time("created", tombstone.created);
    out.texts("commits", tombstone.commits);
    out.texts("data", tombstone.data);
    std::vector<JsonBuilder> gone;
    for (const auto& [sequence, ranges] : tombstone.gone) {
        std::vector<std::string> numbers;
        for (const model::NumberRange& range : ranges)
            numbers.push_back(range_text(range));
        JsonBuilder one;
        one.text("sequence", sequence).texts("numbers", numbers);
        gone.push_back(std::move(one));
    }
    out.array("gone", std::move(gone));
    std::vector<JsonBuilder> log;
    for (const auto& [member, ranges] : tombstone.log_gone) {
        JsonBuilder one;
        one.text("member", member);
        put_list(one, "ranges", ranges, log_range_to_json);
        log.push_back(std::move(one));
    }
    out.array("log_gone", std::move(log));
    return out.bytes();
}

StoredTombstone decode_tombstone(base::ByteView bytes, const model::ObjectRef& object)
{
    auto document = JsonDocument::parse(bytes, object.key);
    JsonObject from = document.expect(kTombstoneDocument);
    StoredTombstone out;
    out.header = read_header(from);
    out.object = object;
    out.value.group = from.text("group");
    out.value.created = from.time("created");
    out.value.commits = from.texts("commits");
    out.value.data = from.texts("data");
    from.each("gone", [&](const JsonObject& one) {
        auto& ranges = out.value.gone[one.text("sequence")];
        for (const std::string& text : one.texts("numbers"))
            ranges.push_back(read_range(text, one));
    });
    from.each("log_gone", [&](const JsonObject& one) {
        out.value.log_gone[one.text("member")] = get_list(one, "ranges", read_log_range);
    });
    return out;
}

Tombstones::Tombstones(store::Storage& storage, const std::string& group)
    : group_(group), sequence_(storage, tombstones_prefix(group))
{
}

std::vector<StoredTombstone> Tombstones::list() const
{
    return list_items(sequence_, 0, decode_tombstone);
}

std::optional<StoredTombstone> Tombstones::latest_readable() const
{
    return latest_item(sequence_, decode_tombstone);
}

StoredTombstone Tombstones::append(const Lease& lease, const model::Tombstone& tombstone) const
{
    StoredTombstone out;
    out.value = tombstone;
    out.value.group = group_;
    auto committed = sequence_.append(
        &lease, [&](const CommitHeader& header) { return encode_tombstone(out.value, header); });
    out.header = std::move(committed.header);
    out.object = std::move(committed.object);
    return out;
}

std::set<std::string> condemned_keys(store::Storage& storage, const std::string& group)
{
    std::set<std::string> out;
    for (const StoredTombstone& one : Tombstones{storage, group}.list()) {
        out.insert(one.value.commits.begin(), one.value.commits.end());
        out.insert(one.value.data.begin(), one.value.data.end());
    }
    return out;
}

std::string sequence_name(const std::string& group, const std::string& prefix)
{
    std::string name = prefix.substr(group_prefix(group).size());
    if (!name.empty() && name.back() == '/') name.pop_back();
    return name;
}

} // namespace tidemark::repo
