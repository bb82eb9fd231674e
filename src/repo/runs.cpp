#include "repo/runs.h"

#include "repo/layout.h"
#include "repo/sequence_items.h"

namespace tidemark::repo {

Runs::Runs(store::Storage& storage, const std::string& group)
    : sequence_(storage, runs_prefix(group))
{
}

std::vector<StoredRun> Runs::list(std::size_t limit, Unreadable* unreadable) const
{
    return list_items(sequence_, limit, decode_run, unreadable);
}

StoredRun Runs::append(const model::Run& run) const
{
    StoredRun out;
    out.value = run;
    auto committed = sequence_.append(
        nullptr, [&](const CommitHeader& header) { return encode_run(run, header); });
    out.header = std::move(committed.header);
    out.object = std::move(committed.object);
    return out;
}

} // namespace tidemark::repo
