#include "base/error.h"
#include "repo/damage.h"
#include "repo/histories.h"
#include "repo/intents.h"
#include "repo/json.h"
#include "repo/layout.h"
#include "repo/lease_codec.h"
#include "repo/verify_parts.h"

#include <fmt/format.h>
#include <functional>
#include <map>

namespace tidemark::repo {

namespace {

/// One object to read, and what it does to jobs while it is damaged.
struct Helper {
    std::string key;
    std::string_view cost;
    std::function<void(const base::Bytes&)> check; ///< throws what is wrong
};

void note_damage(store::Storage& storage, const Helper& helper, Findings& findings)
{
    try {
        auto bytes = store::get(storage, helper.key, kMaxJsonBytes);
        if (!bytes) return; // over since it was listed
        findings.count(1);
        helper.check(*bytes);
    } catch (const base::Error& error) {
        if (error.code() == base::Code::repository_newer) {
            findings.note(fmt::format("{}: {}; jobs that read it need a newer Tidemark", helper.key,
                                      said_of(helper.key, error.what())));
            return;
        }
        if (error.code() != base::Code::failed) throw;
        findings.note(
            fmt::format("{}: {}; {}", helper.key, said_of(helper.key, error.what()), helper.cost));
    }
}

/// The newest lease of each activity: an older one was followed by a good one.
void add_leases(store::Storage& storage, const std::string& group, std::vector<Helper>& helpers)
{
    std::map<std::string, std::pair<model::Number, store::ObjectInfo>> newest;
    for (const auto& info : storage.list(group_prefix(group) + "leases/")) {
        auto key = parse_key(info.key);
        if (!key || key->kind != KeyKind::lease) continue;
        auto [at, is_new] = newest.try_emplace(key->activity, key->number, info);
        if (!is_new && at->second.first < key->number) at->second = {key->number, info};
    }
    for (const auto& [activity, last] : newest)
        helpers.push_back({last.second.key,
                           "jobs that need it waited for five minutes after it was written, and "
                           "nothing else is lost",
                           [info = last.second](const base::Bytes& bytes) {
                               decode_lease(bytes, info.key, info.modified);
                           }});
}

void add_intents(store::Storage& storage, const std::string& group, std::vector<Helper>& helpers)
{
    for (const auto& info : storage.list(intents_prefix(group))) {
        auto key = parse_key(info.key);
        if (!key || key->kind != KeyKind::intent) continue;
        helpers.push_back(
            {info.key,
             "retention removes nothing for a day after it was written, and nothing "
             "is lost",
             [name = info.key](const base::Bytes& bytes) { decode_intent(bytes, name); }});
    }
}

void add_names(const LogCatalog& log, std::vector<Helper>& helpers)
{
    for (model::Epoch epoch : log.claims) {
        std::string key = claim_key(log.id, epoch);
        helpers.push_back({key, "the timeline stays taken by its name, and nothing is lost",
                           [key](const base::Bytes& bytes) { decode_claim(bytes, key); }});
    }
    for (const model::LogPosition& at : log.barriers)
        helpers.push_back({barrier_key(log.id, at), "its name says all, and nothing is lost",
                           [](const base::Bytes& bytes) {
                               if (base::as_text(bytes) != kBarrierText)
                                   throw base::Error{base::Code::failed,
                                                     "damaged: not the line that was written"};
                           }});
}

} // namespace

void note_damaged_helpers(store::Storage& storage, const RepositoryView& view, Findings& findings)
{
    std::vector<Helper> helpers;
    add_leases(storage, view.group, helpers);
    add_intents(storage, view.group, helpers);
    for (const auto& [name, member] : view.members)
        add_names(member.log, helpers);
    for (const Helper& helper : helpers)
        note_damage(storage, helper, findings);
}

} // namespace tidemark::repo
