#pragma once

#include "base/error.h"
#include "repo/sequence.h"

#include <fmt/format.h>
#include <string>
#include <vector>

// What the typed sequences (marks, sets, backups, ...) have in common. For their sources only.
namespace tidemark::repo {

/// Error{failed} when the object's number is not the one its key says.
template <typename T> T checked_number(T item, model::Number number)
{
    if (item.header.number != number)
        throw base::Error{
            base::Code::failed,
            fmt::format("{} says that its number is {}", item.object.key, item.header.number),
            {.hint = "run `tidemark verify` to see what is damaged and what it costs"}};
    return item;
}

template <typename Decode>
auto load_item(const Sequence& sequence, model::Number number, Decode decode)
    -> std::optional<decltype(decode(base::ByteView{}, model::ObjectRef{}))>
{
    if (number == 0 || number > model::kMaxNumber) return std::nullopt;
    auto found = sequence.read(number);
    if (!found) return std::nullopt;
    return checked_number(decode(found->bytes, found->object), number);
}

/// Newest first, at most `limit` (0: all).
template <typename Decode>
auto list_items(const Sequence& sequence, std::size_t limit, Decode decode)
{
    std::vector<decltype(decode(base::ByteView{}, model::ObjectRef{}))> out;
    auto numbers = sequence.numbers();
    for (auto at = numbers.rbegin(); at != numbers.rend(); ++at) {
        if (limit != 0 && out.size() == limit) break;
        auto item = load_item(sequence, *at, decode);
        if (item) out.push_back(std::move(*item));
    }
    return out;
}

template <typename Decode> auto latest_item(const Sequence& sequence, Decode decode)
{
    auto newest = sequence.newest();
    return load_item(sequence, newest.value_or(0), decode);
}

} // namespace tidemark::repo
