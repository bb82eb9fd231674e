#pragma once

#include "model/ids.h"
#include "model/log_position.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tidemark::repo {

using model::kMaxNumber;
using model::MemberId;
using model::Number;

// The one place that knows how objects are called. docs/repository-format.md has the same table.
// Builders CHECK their arguments; what comes from outside is tested before (model::is_valid_name,
// kMaxNumber).

/// One pack of one backup. The lease in the name keeps a stale writer away from a later one
/// (rules.md 32).
struct PackId {
    Number backup = 0;
    Number lease = 0;
    std::uint32_t number = 0; ///< counts from 0 within the backup; at most kMaxPack
    friend bool operator==(const PackId&, const PackId&) = default;
    friend auto operator<=>(const PackId&, const PackId&) = default;
};
inline constexpr std::uint32_t kMaxPack = 999'999;

/// One piece of a member's log: bytes [from, to) of an epoch, written under a lease.
struct PieceId {
    model::LogRange range;
    Number lease = 0;
    friend bool operator==(const PieceId&, const PieceId&) = default;
};

enum class KeyKind {
    head,
    manifest,
    page_map,
    pack,
    piece,
    index,
    history,
    barrier,
    claim,
    identity,
    mark,
    set,
    run,
    drill,
    lease,
    intent,
    tombstone,
    hold,
    joined,
    restore,
};

/// A key taken apart; which fields mean something depends on `kind`.
struct Key {
    KeyKind kind = KeyKind::head;
    MemberId id;       ///< the member part is empty for objects of the group
    Number number = 0; ///< backup, identity, mark, set, run, drill, lease, intent, tombstone, hold,
                       ///< joined, restore
    Number lease = 0;  ///< page map, pack, piece, index
    std::uint32_t pack = 0;
    model::LogRange range; ///< piece, index; of history and claim only the epoch, of a barrier
                           ///< epoch and start
    std::string activity;  ///< lease: "log", "backup/M", "expire", "slot/M", ...
    PackId pack_id() const { return {.backup = number, .lease = lease, .number = pack}; }
    PieceId piece_id() const { return {.range = range, .lease = lease}; }
    friend bool operator==(const Key&, const Key&) = default;
};

/// Takes a key apart. Nothing for whatever the builders below would not have built.
std::optional<Key> parse_key(std::string_view key);
/// The inverse of parse_key.
std::string format_key(const Key& key);

inline constexpr std::string_view kHeadKey = "tidemark.json";

std::string manifest_key(const MemberId& id, Number backup);
std::string page_map_key(const MemberId& id, Number backup, Number lease);
std::string pack_key(const MemberId& id, const PackId& pack);
std::string piece_key(const MemberId& id, const PieceId& piece);
std::string index_key(const MemberId& id, const PieceId& piece);
std::string history_key(const MemberId& id, model::Epoch epoch);
/// The log holds a record at `at` that no recovery gets past.
std::string barrier_key(const MemberId& id, const model::LogPosition& at);
/// Claims a new timeline's number before a promotion (rules.md 24).
std::string claim_key(const MemberId& id, model::Epoch epoch);
std::string identity_key(const MemberId& id, Number number);
std::string mark_key(std::string_view group, Number number);
std::string set_key(std::string_view group, Number number);
std::string run_key(std::string_view group, Number number);
std::string drill_key(std::string_view group, Number number);
/// `activity` is a name, or two joined by '/'.
std::string lease_key(std::string_view group, std::string_view activity, Number number);
std::string intent_key(std::string_view group, Number number);
std::string tombstone_key(std::string_view group, Number number);
std::string hold_key(std::string_view group, Number number);
/// The book of restores over several hosts.
std::string restores_key(std::string_view group, Number number);
/// The catalogue of a member's joined log pieces (rules.md 36).
std::string joined_key(const MemberId& id, Number number);

// Prefixes to list; each ends in '/'.
std::string groups_prefix();
std::string group_prefix(std::string_view group);
std::string members_prefix(std::string_view group);
std::string backups_prefix(const MemberId& id);
std::string backup_prefix(const MemberId& id, Number backup);
std::string packs_prefix(const MemberId& id);
std::string log_prefix(const MemberId& id);
std::string log_prefix(const MemberId& id, model::Epoch epoch);
std::string claims_prefix(const MemberId& id);
std::string identities_prefix(const MemberId& id);
std::string marks_prefix(std::string_view group);
std::string sets_prefix(std::string_view group);
std::string runs_prefix(std::string_view group);
std::string drills_prefix(std::string_view group);
std::string leases_prefix(std::string_view group, std::string_view activity);
std::string intents_prefix(std::string_view group);
std::string tombstones_prefix(std::string_view group);
std::string holds_prefix(std::string_view group);
std::string restores_prefix(std::string_view group);
std::string joined_prefix(const MemberId& id);

/// Room that `expire` gives up to begin in a store that is full. No parse_key takes it apart: it
/// is left alone by everybody else.
inline std::string reserve_key(std::string_view group)
{
    return group_prefix(group) + "reserve";
}

} // namespace tidemark::repo
