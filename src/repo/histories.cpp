#include "repo/histories.h"

#include "base/error.h"
#include "repo/json.h"
#include "repo/layout.h"
#include "repo/log_catalog.h"
#include "stream/checksum.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace tidemark::repo {

using base::Code;
using base::Error;

namespace {

constexpr std::size_t kMaxHistory = 16u << 20;
constexpr DocumentKind kClaimDocument{"claim", 1};

/// A last line of our own, which PostgreSQL passes over as a comment: history files have no other
/// check.
constexpr std::string_view kCheckLine = "# tidemark sha256 ";

std::string sealed(std::string text)
{
    if (!text.empty() && text.back() != '\n') text += '\n';
    std::string check = base::to_hex(stream::sha256(base::as_bytes(text)));
    return fmt::format("{}{}{}\n", text, kCheckLine, check);
}

std::optional<std::string> stored_text(store::Storage& storage, const std::string& key)
{
    auto bytes = store::get(storage, key, kMaxHistory);
    if (!bytes) return std::nullopt;
    std::string stored(base::as_text(*bytes));
    auto line = stored.rfind(kCheckLine);
    std::string text = stored.substr(0, line == std::string::npos ? 0 : line);
    if (sealed(text) != stored)
        throw Error{Code::failed,
                    fmt::format("{} is damaged: its bytes are not those that were written", key),
                    {.hint = "run `tidemark verify` to see what it costs"}};
    return text;
}

} // namespace

void store_history(store::Storage& storage, const model::MemberId& id, model::Epoch epoch,
                   const std::string& text)
{
    model::parse_history(epoch, text);
    std::string key = history_key(id, epoch);
    std::string object = sealed(text);
    if (store::put(storage, key, base::as_bytes(object)) == store::Created::yes) return;
    if (!holds_history(storage, id, epoch, text))
        throw Error{Code::failed, fmt::format("{} was there and is gone", key)};
}

bool holds_history(store::Storage& storage, const model::MemberId& id, model::Epoch epoch,
                   const std::string& text)
{
    std::string key = history_key(id, epoch);
    auto there = stored_text(storage, key);
    if (!there) return false;
    if (sealed(*there) == sealed(text)) return true;
    throw Error{Code::identity_mismatch,
                fmt::format("the history of timeline {} of member {} differs from the stored one "
                            "({}): two servers used this number",
                            epoch, id.member, key),
                {.hint = "the member now is another branch of the same database; give it a member "
                         "name of its own, or point the url at the server that was backed up"}};
}

bool history_is_damaged(store::Storage& storage, const model::MemberId& id, model::Epoch epoch)
{
    try {
        stored_text(storage, history_key(id, epoch));
    } catch (const Error& error) {
        if (error.code() != Code::failed) throw;
        return true;
    }
    return false;
}

void replace_history(store::Storage& storage, const model::MemberId& id, model::Epoch epoch,
                     const std::string& text)
{
    model::parse_history(epoch, text);
    storage.remove(history_key(id, epoch));
    store_history(storage, id, epoch, text);
}

void replace_damaged_history(store::Storage& storage, const model::MemberId& id, model::Epoch epoch,
                             const std::string& text)
{
    if (history_is_damaged(storage, id, epoch)) replace_history(storage, id, epoch, text);
}

std::optional<std::string> load_history_text(store::Storage& storage, const model::MemberId& id,
                                             model::Epoch epoch)
{
    return stored_text(storage, history_key(id, epoch));
}

std::vector<model::History::Step> way_to(const model::History& history, model::Epoch epoch)
{
    auto steps = history.ancestors();
    std::erase_if(steps, [&](const model::History::Step& step) { return step.epoch >= epoch; });
    return steps;
}

model::History load_history(store::Storage& storage, const model::MemberId& id, model::Epoch epoch)
{
    auto text = load_history_text(storage, id, epoch);
    if (text) return model::parse_history(epoch, *text);
    if (epoch == 1) return model::History{1};
    throw Error{Code::log_gap,
                fmt::format("the history of timeline {} of member {} is not in the repository",
                            epoch, id.member),
                {.hint = "run `tidemark log`, which fetches it from the server"}};
}

model::Epoch free_epoch(store::Storage& storage, const model::MemberId& id, model::Epoch at_least)
{
    LogCatalog catalog = LogCatalog::load(storage, id);
    std::set<model::Epoch> used{catalog.histories.begin(), catalog.histories.end()};
    used.insert(catalog.claims.begin(), catalog.claims.end());
    for (const LogPiece& piece : catalog.pieces)
        used.insert(piece.range.epoch);
    // The lowest free one: PostgreSQL takes the first number without a history file (timeline.c).
    model::Epoch next = std::max<model::Epoch>(at_least, 2);
    while (used.contains(next))
        ++next;
    return next;
}

model::Epoch claim_epoch(store::Storage& storage, const model::MemberId& id, model::Epoch at_least,
                         const std::string& who)
{
    auto next = free_epoch(storage, id, at_least);
    JsonBuilder claim{kClaimDocument};
    claim.text("who", who).time("at", storage.now());
    base::Bytes bytes = claim.bytes();
    while (store::put(storage, claim_key(id, next), bytes) != store::Created::yes)
        ++next;
    return next;
}

std::string decode_claim(base::ByteView bytes, const std::string& key)
{
    auto document = JsonDocument::parse(bytes, key);
    return document.expect(kClaimDocument).text("who");
}

} // namespace tidemark::repo
