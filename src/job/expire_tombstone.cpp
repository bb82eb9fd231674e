// What a survey lets go, as the object that says so.

#include "job/expire_survey.h"
#include "model/log_ranges.h"
#include "repo/layout.h"

#include <algorithm>

namespace tidemark::job {

using repo::KeyKind;

namespace {

using Ranges = std::vector<model::NumberRange>;

Ranges merged(Ranges ranges)
{
    std::sort(ranges.begin(), ranges.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    Ranges out;
    for (const auto& range : ranges) {
        if (!out.empty() && range.first <= out.back().last + 1)
            out.back().last = std::max(out.back().last, range.last);
        else
            out.push_back(range);
    }
    return out;
}

/// `numbers` ascend.
Ranges without(const Ranges& ranges, const std::set<model::Number>& numbers)
{
    Ranges out;
    for (model::NumberRange range : ranges) {
        for (auto at = numbers.lower_bound(range.first); at != numbers.end() && *at <= range.last;
             ++at) {
            if (range.first < *at) out.push_back({range.first, *at - 1});
            range.first = *at + 1;
        }
        if (range.first <= range.last) out.push_back(range);
    }
    return out;
}

/// "groups/G/marks/0000000007" -> "marks", 7; manifests lie one level deeper.
std::pair<std::string, model::Number> place_of(const std::string& group, const repo::Key& key,
                                               const std::string& text)
{
    std::string prefix = key.kind == KeyKind::manifest ? repo::backups_prefix(key.id)
                                                       : text.substr(0, text.rfind('/') + 1);
    return {repo::sequence_name(group, prefix), key.number};
}

} // namespace

bool is_meant(const Survey& survey, const repo::StoredTombstone& tombstone, const std::string& key)
{
    auto object = survey.objects.find(key);
    auto named = survey.objects.find(tombstone.object.key);
    return object == survey.objects.end() || named == survey.objects.end() ||
           object->second.modified <= named->second.modified;
}

std::optional<model::Tombstone> next_tombstone(const Survey& survey, const std::string& group,
                                               base::Time now)
{
    std::set<std::string> known;
    for (const auto& one : survey.tombstones) {
        for (const auto* keys : {&one.value.commits, &one.value.data})
            for (const std::string& key : *keys)
                if (is_meant(survey, one, key)) known.insert(key);
    }
    model::Tombstone out{.group = group, .created = now};
    for (const std::string& key : survey.commits)
        if (!known.contains(key)) out.commits.push_back(key);
    for (const std::string& key : survey.data)
        if (!known.contains(key)) out.data.push_back(key);
    if (out.commits.empty() && out.data.empty()) return std::nullopt;
    std::set<std::string> going(survey.commits.begin(), survey.commits.end());
    std::map<std::string, std::set<model::Number>> stay;
    std::map<std::string, Ranges> gone;
    if (!survey.tombstones.empty()) gone = survey.tombstones.front().value.gone;
    for (const auto& [key, info] : survey.objects) {
        auto parsed = repo::parse_key(key);
        if (!parsed) continue;
        auto [sequence, number] = place_of(group, *parsed, key);
        if (going.contains(key))
            gone[sequence].push_back({number, number});
        else
            stay[sequence].insert(number);
    }
    for (auto& [sequence, ranges] : gone)
        out.gone[sequence] = without(merged(std::move(ranges)), stay[sequence]);
    for (const auto& [name, fates] : survey.plan.members) {
        auto ranges = fates.given_up;
        if (!survey.tombstones.empty()) {
            const auto& before = survey.tombstones.front().value.log_gone;
            auto found = before.find(name);
            if (found != before.end())
                ranges.insert(ranges.end(), found->second.begin(), found->second.end());
        }
        std::vector<model::LogRange> held;
        for (const auto& piece : survey.view.members.at(name).log.pieces) {
            auto fate = fates.pieces.find(piece.key);
            if (fate == fates.pieces.end() || fate->second.stays) held.push_back(piece.range);
        }
        out.log_gone[name] = model::subtract_ranges(std::move(ranges), std::move(held));
    }
    return out;
}

} // namespace tidemark::job
