#include "model/retention_events.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::model {

namespace {

using EventsByNumber = std::map<Number, const RetentionEvent*>;

std::map<Number, std::string> reports_that_prove(const EventsByNumber& events,
                                                 const std::map<Number, Fate>& marks)
{
    std::map<Number, std::string> out;
    std::set<Number> proven;
    for (auto at = events.rbegin(); at != events.rend(); ++at) {
        const auto& mark = at->second->proves;
        if (!mark || !proven.insert(*mark).second) continue;
        auto fate = marks.find(*mark);
        if (out.empty())
            out.emplace(at->first, "the newest proof");
        else if (fate != marks.end() && fate->second.stays)
            out.emplace(at->first, fmt::format("it proves m-{}, which stays", *mark));
    }
    return out;
}

} // namespace

std::map<Number, Fate> judge_events(const RetentionInput& input,
                                    const std::vector<RetentionEvent>& events, std::size_t newest,
                                    const std::map<Number, Fate>& marks)
{
    EventsByNumber all;
    for (const RetentionEvent& event : events)
        all.emplace(event.number, &event);
    const auto proofs = reports_that_prove(all, marks);
    const auto cutoff = input.now - std::chrono::hours{24} * input.policy.keep_days;
    std::map<Number, Fate> fates;
    std::size_t left = all.size();
    for (const auto& [number, event] : all) {
        auto proof = proofs.find(number);
        if (left-- <= std::max<std::size_t>(newest, 1))
            fates[number] = {true, "one of the newest"};
        else if (proof != proofs.end())
            fates[number] = {true, proof->second};
        else if (event->at >= input.now - input.policy.keep_all)
            fates[number] = {true, "young"};
        else if (event->failed && event->at >= cutoff)
            fates[number] = {true, "it failed"};
        else
            fates[number] = {false, event->failed ? "old" : "old, and it went well"};
    }
    return fates;
}

} // namespace tidemark::model
