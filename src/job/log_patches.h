#pragma once

#include "engine/engine.h"
#include "model/log_position.h"
#include "repo/log_reader.h"

#include <vector>

namespace tidemark::job {

/// Stored log, of one history.
struct StoredLog {
    const repo::LogReader& reader;
    const model::History& history;
    const model::Identity& identity;
    model::Offset end = 0; ///< of what is stored of it
};

/// What replay is given instead of the records at `starts`, each of which creates a tablespace
/// (Engine::keep_tablespace_inside).
std::vector<engine::LogPatch> tablespace_patches(engine::Engine& engine, const StoredLog& log,
                                                 const std::vector<model::Offset>& starts);

/// Puts what of `patches` lies there into `bytes`, which begin at `from`.
void put_patches(const std::vector<engine::LogPatch>& patches, model::Offset from,
                 base::ByteSpan bytes);

/// `bytes` of the log, which begin at `from`, as a server has them that a restore of ours replayed
/// them on. Indexes that are missing are made by `rebuild`.
base::Bytes as_replayed(engine::Engine& engine, const StoredLog& log, model::Offset from,
                        base::Bytes bytes, const repo::RebuildIndex& rebuild);

} // namespace tidemark::job
