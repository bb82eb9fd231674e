#include "repo/intents.h"

#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "repo/codec_parts.h"
#include "repo/layout.h"
#include "repo/lease_codec.h"

#include <fmt/format.h>

namespace tidemark::repo {

using base::Code;
using base::Error;

namespace {

constexpr DocumentKind kIntentDocument{"intent", 1};

/// Nothing when it was renewed or withdrawn meanwhile: then a later one is there.
std::optional<StoredIntent> read_intent(store::Storage& storage, const store::ObjectInfo& info,
                                        model::Number number)
{
    StoredIntent out{.value = {}, .key = info.key, .renewed = info.modified};
    try {
        auto bytes = store::get(storage, info.key, kMaxJsonBytes);
        if (!bytes) return std::nullopt;
        out.value = decode_intent(*bytes, info.key);
    } catch (const Error& error) {
        if (error.code() != Code::failed) throw;
        base::log_warning("{}", error.what());
        out.readable = false;
        out.value.ttl = kLongestLease;
    }
    out.value.number = number;
    return out;
}

} // namespace

bool StoredIntent::in_force(base::Time store_now) const
{
    return !value.over && store_now < renewed + value.ttl;
}

base::Bytes encode_intent(const model::Intent& intent)
{
    JsonBuilder out{kIntentDocument};
    out.number("number", intent.number)
        .text("group", intent.group)
        .text("token", intent.token)
        .flag("over", intent.over)
        .text("command", intent.command)
        .text("host", intent.host)
        .time("since", intent.since)
        .signed_number("ttl_us", intent.ttl.count());
    if (intent.mark) out.number("mark", *intent.mark);
    std::vector<JsonBuilder> members;
    for (const auto& [name, reads] : intent.reads) {
        JsonBuilder one;
        one.text("name", name).numbers("backups", reads.backups);
        put_list(one, "log", reads.log, log_range_to_json);
        members.push_back(std::move(one));
    }
    out.array("members", std::move(members));
    return out.bytes();
}

model::Intent decode_intent(base::ByteView bytes, const std::string& key)
{
    auto document = JsonDocument::parse(bytes, key);
    JsonObject from = document.expect(kIntentDocument);
    model::Intent out;
    out.number = from.u64("number");
    out.group = from.text("group");
    out.token = from.text("token");
    out.over = from.flag("over");
    out.command = from.text("command");
    out.host = from.text("host");
    out.since = from.time("since");
    out.ttl = base::Duration{from.i64("ttl_us")};
    if (out.ttl < base::Duration{0} || out.ttl > kLongestLease)
        from.refuse("ttl_us", "is out of range");
    out.mark = from.maybe_u64("mark");
    from.each("members", [&](const JsonObject& one) {
        auto& reads = out.reads[one.text("name")];
        reads.backups = one.numbers("backups");
        reads.log = get_list(one, "log", read_log_range);
    });
    return out;
}

std::vector<StoredIntent> list_intents(store::Storage& storage, const std::string& group)
{
    constexpr int kTries = 32;
    for (int tries = 0; tries < kTries; ++tries) {
        std::vector<StoredIntent> out;
        bool vanished = false;
        for (const auto& info : storage.list(intents_prefix(group))) {
            auto key = parse_key(info.key);
            if (!key || key->kind != KeyKind::intent) continue;
            auto one = read_intent(storage, info, key->number);
            vanished = vanished || !one;
            if (one) out.push_back(std::move(*one));
        }
        if (!vanished) return out;
    }
    throw Error{Code::failed,
                fmt::format("the intents of group {} change too fast", group),
                {.hint = "run the same command again", .transient = true}};
}

Announcement::Announcement(store::Storage& storage, model::Intent intent)
    : storage_(storage), mine_(std::move(intent))
{
}

std::unique_ptr<Announcement> Announcement::make(store::Storage& storage, model::Intent intent,
                                                 const Options& options)
{
    intent.number = 0;
    intent.token = base::random_hex(16);
    intent.ttl = options.ttl;
    intent.since = storage.now();
    std::unique_ptr<Announcement> out{new Announcement{storage, std::move(intent)}};
    out->advance();
    out->renewer_ = std::jthread([self = out.get(), every = options.every](std::stop_token stop) {
        self->keep_renewing(std::move(stop), every);
    });
    return out;
}

Announcement::~Announcement()
{
    renewer_.request_stop();
    if (renewer_.joinable()) renewer_.join();
    if (mine_.number == 0) return;
    try {
        mine_.over = true;
        advance();
        for (const std::string& key : old_)
            storage_.remove(key);
    } catch (const std::exception& error) {
        base::log_debug("an intent was not withdrawn; it runs out by itself: {}", error.what());
    }
}

void Announcement::renew()
{
    std::lock_guard lock{mutex_};
    advance();
}

void Announcement::advance()
{
    auto next = mine_;
    auto all = list_intents(storage_, mine_.group);
    next.number = all.empty() ? 1 : all.back().value.number + 1;
    while (store::put(storage_, intent_key(mine_.group, next.number), encode_intent(next)) ==
           store::Created::already_there) {
        // A store that repeats a request on its own may answer so about our object.
        auto theirs = store::get(storage_, intent_key(mine_.group, next.number), kMaxJsonBytes);
        if (theirs && *theirs == encode_intent(next)) break;
        ++next.number;
    }
    for (const std::string& key : old_)
        storage_.remove(key);
    old_.clear();
    if (mine_.number != 0) old_.push_back(intent_key(mine_.group, mine_.number));
    mine_ = std::move(next);
}

void Announcement::keep_renewing(std::stop_token stop, base::Duration every)
{
    std::unique_lock lock{mutex_};
    while (true) {
        wake_.wait_for(lock, stop, every, [] { return false; });
        if (stop.stop_requested()) return;
        try {
            advance();
        } catch (const std::exception& error) {
            base::log_warning("what is being read could not be announced again: {}", error.what());
        }
    }
}

} // namespace tidemark::repo
