#include "repo/identities.h"

#include "base/error.h"
#include "repo/layout.h"
#include "repo/sequence_items.h"

#include <fmt/format.h>

namespace tidemark::repo {

Identities::Identities(store::Storage& storage, const model::MemberId& id)
    : id_(id), sequence_(storage, identities_prefix(id))
{
}

std::optional<StoredIdentity> Identities::load(model::Number number) const
{
    return load_item(sequence_, number, decode_identity);
}

std::optional<StoredIdentity> Identities::latest() const
{
    return latest_item(sequence_, decode_identity);
}

std::vector<StoredIdentity> Identities::list() const
{
    return list_items(sequence_, 0, decode_identity);
}

StoredIdentity Identities::append(const Lease* lease, const model::MemberIdentity& identity) const
{
    StoredIdentity out;
    out.value = identity;
    out.value.group = id_.group;
    out.value.member = id_.member;
    auto committed = sequence_.append(
        lease, [&](const CommitHeader& header) { return encode_identity(out.value, header); });
    out.header = std::move(committed.header);
    out.object = std::move(committed.object);
    return out;
}

void check_identity(const model::MemberIdentity& recorded, const model::Identity& live)
{
    const model::Identity& known = recorded.identity;
    auto refuse = [&](std::string_view what, const std::string& here, const std::string& there) {
        throw base::Error{
            base::Code::identity_mismatch,
            fmt::format("this is not the database that was backed up so far: its {} is {}, the "
                        "repository knows {}",
                        what, here, there),
            {.hint = "check the member's url; a new database needs a member name of its own"}};
    };
    if (known.engine != live.engine) refuse("engine", live.engine, known.engine);
    if (known.system_id != live.system_id)
        refuse("system identifier", live.system_id, known.system_id);
    if (known.log_segment_size != live.log_segment_size)
        refuse("log segment size", std::to_string(live.log_segment_size),
               std::to_string(known.log_segment_size));
    if (known.page_size != live.page_size)
        refuse("page size", std::to_string(live.page_size), std::to_string(known.page_size));
}

} // namespace tidemark::repo
