#pragma once

#include "job/context.h"
#include "model/identity.h"
#include "repo/log_reader.h"

namespace tidemark::job {

/// Where reading can begin in a chain that starts at `start`: a segment's first page says how much
/// of a record hangs over into it, and a timeline's first record begins at its switch point.
model::Offset first_readable(model::Offset start, const model::History& history,
                             std::uint32_t segment_size);

struct RebuildOptions {
    bool every_time = false; ///< see engine::DecoderStart
};
/// Makes a piece's index anew from its bytes and those before it, with the member's own log
/// decoder. The references must outlive the returned function.
repo::RebuildIndex index_rebuilder(const Context& context, const model::MemberSpec& member,
                                   const model::Identity& identity, const repo::LogCatalog& catalog,
                                   const model::History& history,
                                   const RebuildOptions& options = {});

struct ReindexReport {
    std::uint64_t pieces = 0;
    std::uint64_t rebuilt = 0;
    /// Pieces that are damaged, or hold log that this program cannot read: a line each.
    std::vector<std::string> problems;
};
/// Rebuilds every index of the group that is missing, damaged or not whole.
ReindexReport reindex(const Context& context);

} // namespace tidemark::job
