#pragma once

#include "base/error.h"
#include "base/log.h"
#include "repo/damage.h"
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

/// For whoever asks for this very one: a damaged object is Error{not_restorable}, as one of the
/// bulk is, and no failure of the program.
template <typename Decode>
auto load_asked(const Sequence& sequence, model::Number number, Decode decode)
    -> decltype(load_item(sequence, number, decode))
{
    if (number == 0 || number > model::kMaxNumber) return std::nullopt;
    auto found = sequence.read(number);
    if (!found) return std::nullopt;
    try {
        return checked_number(decode(found->bytes, found->object), number);
    } catch (const base::Error& error) {
        if (error.code() != base::Code::failed) throw;
        throw damaged(found->object.key, error.what());
    }
}

/// As load_item, but a damaged object is left out, and told to `unreadable` or in a warning of the
/// log: one must not end what can do without it. A format of a newer program is still
/// Error{repository_newer}.
template <typename Decode>
auto load_readable(const Sequence& sequence, model::Number number, Decode decode,
                   Unreadable* unreadable = nullptr)
    -> decltype(load_item(sequence, number, decode))
{
    try {
        return load_item(sequence, number, decode);
    } catch (const base::Error& error) {
        if (error.code() != base::Code::failed) throw;
        auto key = sequence.key(number);
        if (unreadable != nullptr)
            unreadable->emplace(key, said_of(key, error.what()));
        else
            base::log_warning("left out, it is damaged: {}", error.what());
        return std::nullopt;
    }
}

/// Newest first, at most `limit` (0: all); those that can be read.
template <typename Decode>
auto list_items(const Sequence& sequence, std::size_t limit, Decode decode,
                Unreadable* unreadable = nullptr)
{
    std::vector<decltype(decode(base::ByteView{}, model::ObjectRef{}))> out;
    auto numbers = sequence.numbers();
    for (auto at = numbers.rbegin(); at != numbers.rend(); ++at) {
        if (limit != 0 && out.size() == limit) break;
        auto item = load_readable(sequence, *at, decode, unreadable);
        if (item) out.push_back(std::move(*item));
    }
    return out;
}

/// The newest that can be read of those before `number`: what a generation begins with. Another
/// writer may have been faster than whatever was read earlier.
template <typename Decode>
auto latest_before(const Sequence& sequence, model::Number number, Decode decode,
                   Unreadable* unreadable = nullptr)
    -> decltype(load_item(sequence, number, decode))
{
    while (--number > 0) {
        auto item = load_readable(sequence, number, decode, unreadable);
        if (item) return item;
    }
    return std::nullopt;
}

/// The newest that can be read.
template <typename Decode>
auto latest_item(const Sequence& sequence, Decode decode, Unreadable* unreadable = nullptr)
{
    auto newest = list_items(sequence, 1, decode, unreadable);
    return newest.empty() ? std::nullopt : std::make_optional(std::move(newest.front()));
}

} // namespace tidemark::repo
