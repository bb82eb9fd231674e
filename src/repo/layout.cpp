#include "repo/layout.h"

#include "base/check.h"

#include <charconv>
#include <fmt/format.h>
#include <vector>

namespace tidemark::repo {

namespace {

bool is_activity(std::string_view text)
{
    auto slash = text.find('/');
    if (slash == std::string_view::npos) return model::is_valid_name(text);
    return model::is_valid_name(text.substr(0, slash)) &&
           model::is_valid_name(text.substr(slash + 1));
}

std::string ten(Number number)
{
    CHECK(number <= kMaxNumber);
    return fmt::format("{:010}", number);
}

std::string member_prefix(const MemberId& id)
{
    CHECK(model::is_valid_name(id.member));
    return members_prefix(id.group) + id.member + "/";
}

constexpr std::string_view kBarrier = "barrier-";
constexpr std::string_view kHistory = "history";

} // namespace

std::string groups_prefix()
{
    return "groups/";
}

std::string group_prefix(std::string_view group)
{
    CHECK(model::is_valid_name(group));
    return fmt::format("groups/{}/", group);
}

std::string members_prefix(std::string_view group)
{
    return group_prefix(group) + "members/";
}
std::string backups_prefix(const MemberId& id)
{
    return member_prefix(id) + "backups/";
}
std::string backup_prefix(const MemberId& id, Number backup)
{
    return backups_prefix(id) + ten(backup) + "/";
}
std::string packs_prefix(const MemberId& id)
{
    return member_prefix(id) + "packs/";
}
std::string log_prefix(const MemberId& id)
{
    return member_prefix(id) + "log/";
}
std::string log_prefix(const MemberId& id, model::Epoch epoch)
{
    return fmt::format("{}{:08x}/", log_prefix(id), epoch);
}
std::string claims_prefix(const MemberId& id)
{
    return log_prefix(id) + "claims/";
}
std::string identities_prefix(const MemberId& id)
{
    return member_prefix(id) + "identity/";
}
std::string marks_prefix(std::string_view group)
{
    return group_prefix(group) + "marks/";
}
std::string sets_prefix(std::string_view group)
{
    return group_prefix(group) + "sets/";
}
std::string runs_prefix(std::string_view group)
{
    return group_prefix(group) + "runs/";
}
std::string drills_prefix(std::string_view group)
{
    return group_prefix(group) + "drills/";
}
std::string intents_prefix(std::string_view group)
{
    return group_prefix(group) + "intents/";
}
std::string tombstones_prefix(std::string_view group)
{
    return group_prefix(group) + "tombstones/";
}
std::string holds_prefix(std::string_view group)
{
    return group_prefix(group) + "holds/";
}
std::string restores_prefix(std::string_view group)
{
    return group_prefix(group) + "restores/";
}
std::string joined_prefix(const MemberId& id)
{
    return member_prefix(id) + "joined/";
}
std::string leases_prefix(std::string_view group, std::string_view activity)
{
    CHECK(is_activity(activity));
    return fmt::format("{}leases/{}/", group_prefix(group), activity);
}

std::string manifest_key(const MemberId& id, Number backup)
{
    return backup_prefix(id, backup) + "manifest";
}
std::string page_map_key(const MemberId& id, Number backup, Number lease)
{
    return backup_prefix(id, backup) + "pagemap-" + ten(lease);
}
std::string pack_key(const MemberId& id, const PackId& pack)
{
    CHECK(pack.number <= kMaxPack);
    return fmt::format("{}{}-{}-{:06}", packs_prefix(id), ten(pack.backup), ten(pack.lease),
                       pack.number);
}
std::string piece_key(const MemberId& id, const PieceId& piece)
{
    CHECK(piece.range.from < piece.range.to);
    return fmt::format("{}{:016x}-{:016x}.{}", log_prefix(id, piece.range.epoch), piece.range.from,
                       piece.range.to, ten(piece.lease));
}
std::string index_key(const MemberId& id, const PieceId& piece)
{
    return piece_key(id, piece) + ".idx";
}
std::string history_key(const MemberId& id, model::Epoch epoch)
{
    return log_prefix(id, epoch) + std::string(kHistory);
}
std::string barrier_key(const MemberId& id, const model::LogPosition& at)
{
    return fmt::format("{}{}{:016x}", log_prefix(id, at.epoch), kBarrier, at.offset);
}
std::string claim_key(const MemberId& id, model::Epoch epoch)
{
    return fmt::format("{}{:08x}", claims_prefix(id), epoch);
}
std::string identity_key(const MemberId& id, Number number)
{
    return identities_prefix(id) + ten(number);
}
std::string mark_key(std::string_view group, Number number)
{
    return marks_prefix(group) + ten(number);
}
std::string set_key(std::string_view group, Number number)
{
    return sets_prefix(group) + ten(number);
}
std::string run_key(std::string_view group, Number number)
{
    return runs_prefix(group) + ten(number);
}
std::string drill_key(std::string_view group, Number number)
{
    return drills_prefix(group) + ten(number);
}
std::string lease_key(std::string_view group, std::string_view activity, Number number)
{
    return leases_prefix(group, activity) + ten(number);
}
std::string intent_key(std::string_view group, Number number)
{
    return intents_prefix(group) + ten(number);
}
std::string tombstone_key(std::string_view group, Number number)
{
    return tombstones_prefix(group) + ten(number);
}

std::string hold_key(std::string_view group, Number number)
{
    return holds_prefix(group) + ten(number);
}
std::string restores_key(std::string_view group, Number number)
{
    return restores_prefix(group) + ten(number);
}
std::string joined_key(const MemberId& id, Number number)
{
    return joined_prefix(id) + ten(number);
}

std::string format_key(const Key& key)
{
    const MemberId& id = key.id;
    switch (key.kind) {
    case KeyKind::head:
        return std::string(kHeadKey);
    case KeyKind::manifest:
        return manifest_key(id, key.number);
    case KeyKind::page_map:
        return page_map_key(id, key.number, key.lease);
    case KeyKind::pack:
        return pack_key(id, key.pack_id());
    case KeyKind::piece:
        return piece_key(id, key.piece_id());
    case KeyKind::index:
        return index_key(id, key.piece_id());
    case KeyKind::history:
        return history_key(id, key.range.epoch);
    case KeyKind::barrier:
        return barrier_key(id, {key.range.epoch, key.range.from});
    case KeyKind::claim:
        return claim_key(id, key.range.epoch);
    case KeyKind::identity:
        return identity_key(id, key.number);
    case KeyKind::mark:
        return mark_key(id.group, key.number);
    case KeyKind::set:
        return set_key(id.group, key.number);
    case KeyKind::run:
        return run_key(id.group, key.number);
    case KeyKind::drill:
        return drill_key(id.group, key.number);
    case KeyKind::lease:
        return lease_key(id.group, key.activity, key.number);
    case KeyKind::intent:
        return intent_key(id.group, key.number);
    case KeyKind::tombstone:
        return tombstone_key(id.group, key.number);
    case KeyKind::hold:
        return hold_key(id.group, key.number);
    case KeyKind::restore:
        return restores_key(id.group, key.number);
    case KeyKind::joined:
        return joined_key(id, key.number);
    }
    CHECK(false);
}

namespace {

using Parts = std::vector<std::string_view>;

Parts split(std::string_view text, char separator)
{
    Parts parts;
    while (true) {
        auto at = text.find(separator);
        parts.push_back(text.substr(0, at));
        if (at == std::string_view::npos) return parts;
        text.remove_prefix(at + 1);
    }
}

/// Lenient about leading zeros: parse_key compares the whole key afterwards.
template <typename Integer> bool parse(std::string_view text, Integer& into, int radix = 10)
{
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), into, radix);
    return error == std::errc{} && end == text.data() + text.size() && !text.empty();
}

bool parse_number(std::string_view text, Number& into)
{
    return parse(text, into) && into <= kMaxNumber;
}

bool parse_pack(std::string_view name, Key& key)
{
    auto fields = split(name, '-');
    key.kind = KeyKind::pack;
    return fields.size() == 3 && parse_number(fields[0], key.number) &&
           parse_number(fields[1], key.lease) && parse(fields[2], key.pack) && key.pack <= kMaxPack;
}

bool parse_backup(const Parts& parts, Key& key)
{
    constexpr std::string_view kPageMap = "pagemap-";
    if (parts.size() != 7 || !parse_number(parts[5], key.number)) return false;
    if (parts[6] == "manifest") {
        key.kind = KeyKind::manifest;
        return true;
    }
    key.kind = KeyKind::page_map;
    return parts[6].starts_with(kPageMap) &&
           parse_number(parts[6].substr(kPageMap.size()), key.lease);
}

bool parse_piece(std::string_view name, Key& key)
{
    key.kind = KeyKind::piece;
    if (name.ends_with(".idx")) {
        key.kind = KeyKind::index;
        name.remove_suffix(4);
    }
    auto fields = split(name, '.');
    if (fields.size() != 2 || !parse_number(fields[1], key.lease)) return false;
    auto ends = split(fields[0], '-');
    return ends.size() == 2 && parse(ends[0], key.range.from, 16) &&
           parse(ends[1], key.range.to, 16) && key.range.from < key.range.to;
}

bool parse_log(const Parts& parts, Key& key)
{
    if (parts.size() != 7) return false;
    if (parts[5] == "claims") {
        key.kind = KeyKind::claim;
        return parse(parts[6], key.range.epoch, 16);
    }
    if (!parse(parts[5], key.range.epoch, 16)) return false;
    std::string_view name = parts[6];
    if (name.starts_with(kBarrier)) {
        key.kind = KeyKind::barrier;
        return parse(name.substr(kBarrier.size()), key.range.from, 16);
    }
    if (name != kHistory) return parse_piece(name, key);
    key.kind = KeyKind::history;
    return true;
}

/// groups/G/members/M/...
bool parse_of_member(const Parts& parts, Key& key)
{
    if (parts.size() < 6 || !model::is_valid_name(parts[3])) return false;
    key.id.member = parts[3];
    if (parts[4] == "backups") return parse_backup(parts, key);
    if (parts[4] == "log") return parse_log(parts, key);
    if (parts.size() != 6) return false;
    if (parts[4] == "packs") return parse_pack(parts[5], key);
    key.kind = parts[4] == "joined" ? KeyKind::joined : KeyKind::identity;
    return (parts[4] == "joined" || parts[4] == "identity") && parse_number(parts[5], key.number);
}

bool parse_lease(const Parts& parts, Key& key)
{
    if (parts.size() < 5 || parts.size() > 6 || !parse_number(parts.back(), key.number))
        return false;
    key.kind = KeyKind::lease;
    key.activity = parts[3];
    if (parts.size() == 6) key.activity += "/" + std::string(parts[4]);
    return is_activity(key.activity);
}

bool parse_numbered(const Parts& parts, Key& key)
{
    static constexpr std::pair<std::string_view, KeyKind> kKinds[] = {
        {"marks", KeyKind::mark},     {"sets", KeyKind::set},
        {"runs", KeyKind::run},       {"drills", KeyKind::drill},
        {"intents", KeyKind::intent}, {"tombstones", KeyKind::tombstone},
        {"holds", KeyKind::hold},     {"restores", KeyKind::restore},
    };
    if (parts.size() != 4 || !parse_number(parts[3], key.number)) return false;
    for (auto [name, kind] : kKinds) {
        if (name != parts[2]) continue;
        key.kind = kind;
        return true;
    }
    return false;
}

bool parse_parts(const Parts& parts, Key& key)
{
    if (parts.size() < 4 || parts[0] != "groups" || !model::is_valid_name(parts[1])) return false;
    key.id.group = parts[1];
    if (parts[2] == "members") return parse_of_member(parts, key);
    if (parts[2] == "leases") return parse_lease(parts, key);
    return parse_numbered(parts, key);
}

} // namespace

std::optional<Key> parse_key(std::string_view text)
{
    Key key;
    if (text == kHeadKey) return key;
    if (text.size() > 512 || !parse_parts(split(text, '/'), key)) return std::nullopt;
    // Other spellings of the same parts (upper case, fewer zeros) are not our names.
    if (format_key(key) != text) return std::nullopt;
    return key;
}

} // namespace tidemark::repo
