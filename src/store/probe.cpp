#include "store/probe.h"

#include "base/error.h"
#include "base/task_group.h"

#include <array>
#include <atomic>
#include <fmt/format.h>

namespace tidemark::store {

namespace {

void require(bool kept, std::string_view promise, Storage& storage)
{
    if (kept) return;
    throw base::Error{
        base::Code::repository_unreachable,
        fmt::format("{} cannot hold a repository: {}", storage.traits().where, promise),
        {.hint = "choose a file system or store that is not a cache or an eventually "
                 "consistent copy of another"}};
}

/// The content of the writer who won a race of four.
std::string race(Storage& storage, std::string_view key)
{
    std::array<std::string, 4> texts;
    std::array<Created, 4> results = {};
    base::TaskGroup group;
    for (std::size_t i = 0; i < texts.size(); ++i) {
        texts.at(i) = fmt::format("written by probe {}\n", i);
        group.add([&, i](std::stop_token) {
            results.at(i) = put(storage, key, base::as_bytes(texts.at(i)));
        });
    }
    group.wait();
    std::string winner;
    int winners = 0;
    for (std::size_t i = 0; i < texts.size(); ++i) {
        if (results.at(i) != Created::yes) continue;
        winner = texts.at(i);
        ++winners;
    }
    require(winners == 1, "of several writers of one name not exactly one won", storage);
    return winner;
}

} // namespace

void probe(Storage& storage, base::Random& random)
{
    std::array<std::byte, 8> name = {};
    random.fill(name);
    // No folder, which would stay behind where folders are real.
    std::string prefix = fmt::format("probe-{}-", base::to_hex(name));
    std::string key = prefix + "object";
    require(storage.list(prefix).empty(), "a list shows objects that were never written", storage);

    {
        storage.create(prefix + "abandoned")->write(base::as_bytes("never committed"));
    }
    std::string winner = race(storage, key);
    auto read = get(storage, key, 100);
    require(read && base::as_text(*read) == winner, "an object reads back other than written",
            storage);
    auto objects = storage.list(prefix);
    require(objects.size() == 1 && objects.front().key == key &&
                objects.front().size == winner.size(),
            "a list does not show exactly what was committed", storage);

    require(storage.remove(key), "an object cannot be removed", storage);
    require(!storage.stat(key) && storage.list(prefix).empty(), "a removed object is still there",
            storage);
}

} // namespace tidemark::store
