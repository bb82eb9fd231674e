#include "repo/holds.h"

#include "base/error.h"
#include "repo/codec_parts.h"
#include "repo/layout.h"
#include "repo/sequence_items.h"
#include "repo/tombstones.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::repo {

using base::Code;
using base::Error;

namespace {

constexpr DocumentKind kHoldsDocument{"holds", 1};

JsonBuilder to_json(const model::Hold& hold)
{
    JsonBuilder out;
    out.number("mark", hold.mark).text("note", hold.note).text("by", hold.by);
    out.time("since", hold.since);
    if (hold.until) out.time("until", *hold.until);
    return out;
}

model::Hold read_hold(const JsonObject& from)
{
    model::Hold out;
    out.mark = from.u64("mark");
    out.note = from.text("note");
    out.by = from.text("by");
    out.since = from.time("since");
    if (from.has("until")) out.until = from.time("until");
    return out;
}

/// Somebody relies on the longer one, and nobody else is asked.
void refuse_to_shorten(const model::Hold& old, const model::Hold& hold)
{
    if (!hold.until || (old.until && *old.until <= *hold.until)) return;
    throw Error{Code::usage,
                fmt::format("mark m-{} is held by {} already, {}{}: that is longer", old.mark,
                            old.by,
                            old.until ? "until " + base::format_time_human(*old.until)
                                      : "until it is released",
                            old.note.empty() ? "" : fmt::format(" (\"{}\")", old.note)),
                {.hint = fmt::format("`tidemark release m-{}` first, if nobody needs that any more",
                                     old.mark)}};
}

} // namespace

base::Bytes encode_holds(const model::Holds& holds, const CommitHeader& header)
{
    JsonBuilder out{kHoldsDocument};
    write_header(out, header);
    out.text("group", holds.group);
    put_list(out, "holds", holds.holds, [](const model::Hold& hold) { return to_json(hold); });
    return out.bytes();
}

StoredHolds decode_holds(base::ByteView bytes, const model::ObjectRef& object)
{
    auto document = JsonDocument::parse(bytes, object.key);
    JsonObject from = document.expect(kHoldsDocument);
    StoredHolds out;
    out.header = read_header(from);
    out.object = object;
    out.value.group = from.text("group");
    out.value.holds = get_list(from, "holds", read_hold);
    return out;
}

HoldBook::HoldBook(store::Storage& storage, const std::string& group)
    : storage_(storage), group_(group), sequence_(storage, holds_prefix(group))
{
}

std::vector<model::Hold> HoldBook::holds(Unreadable* unreadable) const
{
    auto newest = latest_item(sequence_, decode_holds, unreadable);
    return newest ? std::move(newest->value.holds) : std::vector<model::Hold>{};
}

void HoldBook::append(const Change& change, Unreadable* unreadable) const
{
    sequence_.append(nullptr, [&](const CommitHeader& header) {
        auto before = latest_before(sequence_, header.number, decode_holds, unreadable);
        model::Holds next{.group = group_, .holds = {}};
        if (before) next.holds = std::move(before->value.holds);
        change(next.holds);
        std::sort(next.holds.begin(), next.holds.end(),
                  [](const model::Hold& a, const model::Hold& b) { return a.mark < b.mark; });
        return encode_holds(next, header);
    });
}

std::optional<model::Hold> HoldBook::hold(model::Hold hold, Unreadable* unreadable) const
{
    std::optional<model::Hold> before;
    const auto note = hold.note;
    append(
        [&](std::vector<model::Hold>& holds) {
            auto old = std::ranges::find(holds, hold.mark, &model::Hold::mark);
            before.reset();
            if (old != holds.end() && old->in_force(hold.since)) before = *old;
            if (before) refuse_to_shorten(*before, hold);
            hold.note = note.empty() && before ? before->note : note;
            if (old != holds.end()) holds.erase(old);
            holds.push_back(hold);
        },
        unreadable);
    // Written first, looked second: whoever removes looks at the holds after its tombstone.
    if (!condemned_keys(storage_, group_).contains(mark_key(group_, hold.mark))) return before;
    release(hold.mark, unreadable);
    throw Error{
        Code::not_restorable,
        fmt::format("mark m-{} cannot be held: retention is removing it already", hold.mark),
        {.hint = "`tidemark list marks` shows those that stay"}};
}

bool HoldBook::release(model::Number mark, Unreadable* unreadable) const
{
    Unreadable damaged;
    auto now = holds(&damaged);
    bool held = std::any_of(now.begin(), now.end(),
                            [&](const model::Hold& one) { return one.mark == mark; });
    if (!held && damaged.empty()) return false;
    append(
        [&](std::vector<model::Hold>& holds) {
            std::erase_if(holds, [&](const model::Hold& one) { return one.mark == mark; });
        },
        unreadable);
    return true;
}

} // namespace tidemark::repo
