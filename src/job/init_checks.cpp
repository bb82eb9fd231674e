#include "job/init_checks.h"

#include "base/error.h"

#include <fmt/format.h>
#include <map>

namespace tidemark::job {

using base::Code;
using base::Error;

void refuse_unbounded(const engine::SlotState& slot, engine::Session& session)
{
    if (slot.bound_bytes) return;
    std::string fix = "set max_slot_wal_keep_size, or say --unbounded";
    for (const auto& check : session.check()) {
        if (check.name == "slot_bound" && !check.fix.empty())
            fix = check.fix + "; or say --unbounded";
    }
    throw Error{Code::member_not_ready,
                "max_slot_wal_keep_size is -1: a slot nobody reads could fill the server's disk",
                {.hint = fix}};
}

void refuse_twins(const std::vector<std::pair<std::string, std::string>>& members)
{
    std::map<std::string, std::string> names;
    for (const auto& [name, id] : members) {
        auto [found, is_new] = names.emplace(id, name);
        if (is_new) continue;
        throw Error{Code::usage,
                    fmt::format("{} and {} are the same cluster: both have the system identifier "
                                "{}",
                                found->second, name, id),
                    {.hint = "name it once; standbys of a member stand in its url. A physical copy "
                             "that lives on as a database of its own cannot be a member beside "
                             "its original"}};
    }
}

} // namespace tidemark::job
