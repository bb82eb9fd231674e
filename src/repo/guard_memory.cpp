#include "repo/guard_memory.h"

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "repo/json.h"
#include "repo/memory_file.h"

#include <algorithm>
#include <utility>

namespace tidemark::repo {

namespace {

constexpr DocumentKind kGuardDocument{"guard", 1};
constexpr std::size_t kMaxGuardFile = 1U << 20;
constexpr std::size_t kMaxDeeds = 64;

} // namespace

GuardMemory::GuardMemory(const std::filesystem::path& folder, const std::string& repository,
                         std::string group)
    : group_(std::move(group))
{
    path_ = memory_file(folder, "guard", repository, group_);
}

GuardMemory::Content GuardMemory::read() const
{
    Content out;
    if (!std::filesystem::exists(path_)) return out;
    auto document = JsonDocument::parse(base::read_file(path_, kMaxGuardFile), path_.string());
    auto root = document.expect(kGuardDocument);
    if (root.has("clusters")) out.clusters = root.text_map("clusters");
    root.each("deeds", [&](const JsonObject& deed) {
        out.deeds.push_back({.at = deed.time("at"), .text = deed.text("text")});
    });
    return out;
}

/// A file that cannot be read must not keep what is known now from being written.
GuardMemory::Content GuardMemory::read_or_begin() const
{
    try {
        return read();
    } catch (const base::Error& error) {
        base::log_warning("what was remembered for the log guard is lost: {}", error.what());
        return {};
    }
}

void GuardMemory::write(const Content& content) const
{
    JsonBuilder out{kGuardDocument};
    out.text("group", group_);
    if (content.clusters) out.text_map("clusters", *content.clusters);
    std::vector<JsonBuilder> deeds;
    for (const auto& deed : content.deeds) {
        JsonBuilder one;
        one.time("at", deed.at).text("text", deed.text);
        deeds.push_back(std::move(one));
    }
    out.array("deeds", std::move(deeds));
    std::filesystem::create_directories(path_.parent_path());
    base::replace_file(path_, out.bytes());
}

std::optional<std::map<std::string, std::string>> GuardMemory::clusters() const
{
    return read().clusters;
}

void GuardMemory::remember(const std::map<std::string, std::string>& clusters)
{
    auto content = read_or_begin();
    if (content.clusters == clusters) return;
    content.clusters = clusters;
    write(content);
}

std::vector<GuardDeed> GuardMemory::deeds() const
{
    return read().deeds;
}

void GuardMemory::add(const GuardDeed& deed)
{
    auto content = read_or_begin();
    content.deeds.push_back(deed);
    if (content.deeds.size() > kMaxDeeds) content.deeds.erase(content.deeds.begin());
    write(content);
}

void GuardMemory::forget(const std::vector<GuardDeed>& recorded)
{
    auto content = read();
    auto gone = std::erase_if(content.deeds, [&](const GuardDeed& deed) {
        return std::ranges::find(recorded, deed) != recorded.end();
    });
    if (gone > 0) write(content);
}

} // namespace tidemark::repo
