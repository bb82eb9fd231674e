#include "repo/head_memory.h"

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "repo/json.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::repo {

namespace {

constexpr DocumentKind kHeadsDocument{"heads", 1};
constexpr DocumentKind kPlacesDocument{"places", 1};
constexpr std::size_t kMaxHeadsFile = 1u << 20;

using AllHeads = std::map<std::string, Heads>;

AllHeads read_heads(const std::filesystem::path& path)
{
    AllHeads out;
    if (!std::filesystem::exists(path)) return out;
    auto document = JsonDocument::parse(base::read_file(path, kMaxHeadsFile), path.string());
    document.expect(kHeadsDocument)
        .each_named("groups", [&](const std::string& group, const JsonObject& heads) {
            out.emplace(group, Heads{.mark = heads.u64("mark"), .set = heads.u64("set")});
        });
    return out;
}

using Places = std::map<std::string, std::string>;

Places read_places(const std::filesystem::path& path)
{
    Places out;
    if (!std::filesystem::exists(path)) return out;
    auto document = JsonDocument::parse(base::read_file(path, kMaxHeadsFile), path.string());
    document.expect(kPlacesDocument)
        .each_named("places", [&](const std::string& url, const JsonObject& place) {
            out.emplace(url, place.text("repository"));
        });
    return out;
}

base::Bytes encode_places(const Places& all)
{
    JsonBuilder places;
    for (const auto& [url, id] : all) {
        JsonBuilder place;
        place.text("repository", id);
        places.object(url, std::move(place));
    }
    JsonBuilder out{kPlacesDocument};
    out.object("places", std::move(places));
    return out.bytes();
}

base::Bytes encode_heads(const AllHeads& all)
{
    JsonBuilder groups;
    for (const auto& [group, heads] : all) {
        JsonBuilder line;
        line.number("mark", heads.mark).number("set", heads.set);
        groups.object(group, std::move(line));
    }
    JsonBuilder out{kHeadsDocument};
    out.object("groups", std::move(groups));
    return out.bytes();
}

} // namespace

HeadMemory::HeadMemory(std::filesystem::path folder) : folder_(std::move(folder)) {}

std::filesystem::path HeadMemory::path_of(const std::string& repository_id) const
{
    bool plain = repository_id.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (repository_id.empty() || !plain)
        throw base::Error{base::Code::failed,
                          fmt::format("\"{}\" is no repository id", repository_id)};
    return folder_ / (repository_id + ".json");
}

std::optional<Heads> HeadMemory::recall(const std::string& repository_id,
                                        const std::string& group) const
{
    AllHeads all = read_heads(path_of(repository_id));
    auto at = all.find(group);
    if (at == all.end()) return std::nullopt;
    return at->second;
}

void HeadMemory::remember(const std::string& repository_id, const std::string& group,
                          const Heads& heads)
{
    std::filesystem::path path = path_of(repository_id);
    AllHeads all;
    try {
        all = read_heads(path);
    } catch (const base::Error& error) {
        base::log_warning("what was remembered is lost: {}", error.what());
    }
    const bool met = all.contains(group);
    Heads& known = all[group];
    Heads newest{.mark = std::max(known.mark, heads.mark), .set = std::max(known.set, heads.set)};
    if (met && newest == known) return;
    known = newest;
    std::filesystem::create_directories(folder_);
    base::replace_file(path, encode_heads(all));
}

std::optional<std::string> HeadMemory::recall_place(const std::string& url) const
{
    Places all = read_places(places_path());
    auto at = all.find(url);
    if (at == all.end()) return std::nullopt;
    return at->second;
}

void HeadMemory::remember_place(const std::string& url, const std::string& repository_id)
{
    Places all;
    try {
        all = read_places(places_path());
    } catch (const base::Error& error) {
        base::log_warning("what was remembered is lost: {}", error.what());
    }
    if (auto at = all.find(url); at != all.end() && at->second == repository_id) return;
    all.insert_or_assign(url, repository_id);
    std::filesystem::create_directories(folder_);
    base::replace_file(places_path(), encode_places(all));
}

std::optional<std::string> went_back(const std::optional<Heads>& remembered, const Heads& now)
{
    if (!remembered) return std::nullopt;
    if (now.mark < remembered->mark)
        return fmt::format("the repository went back: its newest mark is {}, but mark {} was seen "
                           "here before",
                           now.mark == 0 ? "none" : fmt::format("m-{}", now.mark),
                           fmt::format("m-{}", remembered->mark));
    if (now.set < remembered->set)
        return fmt::format("the repository went back: its newest backup set is {}, but set {} was "
                           "seen here before",
                           now.set, remembered->set);
    return std::nullopt;
}

} // namespace tidemark::repo
