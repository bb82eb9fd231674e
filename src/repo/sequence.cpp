#include "repo/sequence.h"

#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "repo/codec_parts.h"
#include "repo/lease.h"
#include "stream/checksum.h"

#include <charconv>
#include <fmt/format.h>

namespace tidemark::repo {

using base::Code;
using base::Error;

void write_header(JsonBuilder& into, const CommitHeader& header)
{
    into.number("number", header.number).text("nonce", header.nonce);
    if (header.lease) {
        JsonBuilder lease;
        lease.text("activity", header.lease->activity).number("number", header.lease->number);
        into.object("lease", std::move(lease));
    }
    if (header.predecessor) into.object("predecessor", to_json(*header.predecessor));
}

CommitHeader read_header(const JsonObject& from)
{
    CommitHeader out;
    out.number = from.u64("number");
    if (out.number == 0 || out.number > model::kMaxNumber) from.refuse("number", "is out of range");
    out.nonce = from.text("nonce");
    if (auto lease = from.maybe_object("lease"))
        out.lease = LeaseStamp{.activity = lease->text("activity"), .number = lease->u64("number")};
    if (auto predecessor = from.maybe_object("predecessor"))
        out.predecessor = object_ref(*predecessor);
    return out;
}

Sequence::Sequence(store::Storage& storage, std::string prefix, std::string suffix)
    : storage_(storage), prefix_(std::move(prefix)), suffix_(std::move(suffix))
{
    CHECK(!prefix_.empty() && prefix_.back() == '/');
}

std::string Sequence::key(model::Number number) const
{
    CHECK(number > 0 && number <= model::kMaxNumber);
    return fmt::format("{}{:010}{}", prefix_, number, suffix_);
}

std::vector<model::Number> Sequence::numbers() const
{
    constexpr std::size_t kDigits = 10;
    std::vector<model::Number> out;
    for (const store::ObjectInfo& info : storage_.list(prefix_)) {
        std::string_view name = std::string_view(info.key).substr(prefix_.size());
        if (name.size() != kDigits + suffix_.size() || !name.ends_with(suffix_)) continue;
        model::Number number = 0;
        const char* begin = name.data();
        auto [end, error] = std::from_chars(begin, begin + kDigits, number);
        if (error == std::errc{} && end == begin + kDigits && number > 0) out.push_back(number);
    }
    return out;
}

std::optional<model::Number> Sequence::newest() const
{
    auto all = numbers();
    if (all.empty()) return std::nullopt;
    return all.back();
}

std::optional<Sequence::Found> Sequence::read(model::Number number) const
{
    std::string name = key(number);
    auto bytes = store::get(storage_, name, kMaxJsonBytes);
    if (!bytes) return std::nullopt;
    model::ObjectRef ref{
        .key = std::move(name), .size = bytes->size(), .sha256 = stream::sha256(*bytes)};
    return Found{.object = std::move(ref), .bytes = std::move(*bytes)};
}

Sequence::Committed Sequence::append(const Lease* lease, const Encode& encode) const
{
    auto last = newest();
    while (true) {
        CommitHeader header;
        header.number = last.value_or(0) + 1;
        header.nonce = base::random_hex(8);
        if (lease != nullptr) header.lease = lease->stamp();
        if (last) {
            Found before = need(*last);
            refuse_stale(header, before);
            header.predecessor = before.object;
        }
        base::Bytes bytes = encode(header);
        if (lease != nullptr) lease->check();
        model::ObjectRef object{
            .key = key(header.number), .size = bytes.size(), .sha256 = stream::sha256(bytes)};
        // A store that repeats a request on its own may answer "already there" about our object.
        if (store::put(storage_, object.key, bytes) == store::Created::yes ||
            need(header.number).object == object)
            return {.header = std::move(header), .object = std::move(object)};
        last = header.number;
    }
}

Sequence::Found Sequence::need(model::Number number) const
{
    auto found = read(number);
    if (found) return std::move(*found);
    throw Error{Code::failed,
                fmt::format("{} vanished while the one after it was written", key(number)),
                {.hint = "run the same command again", .transient = true}};
}

void Sequence::refuse_stale(const CommitHeader& ours, const Found& theirs) const
{
    CommitHeader other;
    try {
        auto document = JsonDocument::parse(theirs.bytes, theirs.object.key);
        other = read_header(document.root());
    } catch (const Error& error) {
        // Bit rot in the newest object must not end all backups: the next one follows its bytes.
        base::log_warning("{}", error.what());
        return;
    }
    if (!ours.lease || !other.lease || ours.lease->activity != other.lease->activity) return;
    if (other.lease->number > ours.lease->number)
        throw Error{Code::lease_held,
                    fmt::format("{} was written by a later owner of the lease \"{}\" ({}, ours is "
                                "{}); nothing was written",
                                theirs.object.key, ours.lease->activity, other.lease->number,
                                ours.lease->number),
                    {.hint = "another job took over; run the same command again"}};
}

} // namespace tidemark::repo
