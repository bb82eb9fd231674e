#include "job/log_patches.h"

#include <algorithm>

namespace tidemark::job {

using model::Offset;

namespace {

/// More than the longest record of its kind, whose path has 1024 bytes (MAXPGPATH).
constexpr Offset kLongestRecord = 8192;

} // namespace

std::vector<engine::LogPatch> tablespace_patches(engine::Engine& engine, const StoredLog& log,
                                                 const std::vector<Offset>& starts)
{
    std::vector<engine::LogPatch> patches;
    for (auto start : starts) {
        auto end = std::min(start + kLongestRecord, log.end);
        auto bytes = log.reader.read(log.history, {log.history.epoch_at(start), start},
                                     {log.history.epoch_at(end - 1), end});
        auto found =
            engine.keep_tablespace_inside({.version_num = log.identity.version_num,
                                           .log_segment_size = log.identity.log_segment_size,
                                           .start = start,
                                           .bytes = bytes});
        patches.insert(patches.end(), found.begin(), found.end());
    }
    return patches;
}

void put_patches(const std::vector<engine::LogPatch>& patches, Offset from, base::ByteSpan bytes)
{
    for (const auto& patch : patches) {
        auto begin = std::max(from, patch.at);
        auto end = std::min<Offset>(from + bytes.size(), patch.at + patch.bytes.size());
        for (auto at = begin; at < end; ++at)
            bytes[static_cast<std::size_t>(at - from)] =
                patch.bytes[static_cast<std::size_t>(at - patch.at)];
    }
}

base::Bytes as_replayed(engine::Engine& engine, const StoredLog& log, Offset from,
                        base::Bytes bytes, const repo::RebuildIndex& rebuild)
{
    auto to = from + bytes.size();
    auto begin = from > kLongestRecord ? from - kLongestRecord : 0;
    std::vector<Offset> starts;
    for (const auto& piece : log.reader.catalog().pieces) {
        if (piece.range.to <= begin || piece.range.from >= to) continue;
        for (const auto& notice : log.reader.index(piece, rebuild).notices)
            if (notice.kind == model::LogNoticeKind::tablespace_created && notice.start >= begin &&
                notice.start < to && log.history.epoch_at(notice.start) == piece.range.epoch)
                starts.push_back(notice.start);
    }
    put_patches(tablespace_patches(engine, log, starts), from, bytes);
    return bytes;
}

} // namespace tidemark::job
