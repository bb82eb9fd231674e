#include "repo/lease_codec.h"

#include "repo/json.h"

namespace tidemark::repo {

namespace {

constexpr DocumentKind kLeaseDocument{"lease", 1};

} // namespace

base::Bytes encode_lease(const LeaseState& state)
{
    JsonBuilder owner;
    owner.text("host", state.owner.host)
        .text("boot", state.owner.boot)
        .text("pid_namespace", state.owner.pid_namespace)
        .signed_number("pid", state.owner.pid)
        .number("pid_start", state.owner.pid_start)
        .text("command", state.owner.command);
    JsonBuilder out{kLeaseDocument};
    out.text("activity", state.activity)
        .number("number", state.number)
        .number("term", state.term)
        .flag("held", state.held)
        .time("since", state.since)
        .signed_number("ttl_us", state.ttl.count())
        .text("token", state.token)
        .object("owner", std::move(owner));
    if (state.tries != 0) out.number("tries", state.tries);
    return out.bytes();
}

LeaseState decode_lease(base::ByteView bytes, const std::string& key, base::Time renewed)
{
    auto document = JsonDocument::parse(bytes, key);
    JsonObject from = document.expect(kLeaseDocument);
    LeaseState out;
    out.activity = from.text("activity");
    out.number = from.u64("number");
    out.term = from.u64("term");
    out.held = from.flag("held");
    out.since = from.time("since");
    out.ttl = base::Duration{from.i64("ttl_us")};
    if (out.ttl < base::Duration{0} || out.ttl > kLongestLease)
        from.refuse("ttl_us", "is out of range");
    out.token = from.text("token");
    out.renewed = renewed;
    if (from.has("tries")) out.tries = from.u64("tries");
    JsonObject owner = from.object("owner");
    out.owner.host = owner.text("host");
    out.owner.boot = owner.text("boot");
    out.owner.pid_namespace = owner.text("pid_namespace");
    out.owner.pid = owner.i64("pid");
    out.owner.pid_start = owner.u64("pid_start");
    out.owner.command = owner.text("command");
    return out;
}

} // namespace tidemark::repo
