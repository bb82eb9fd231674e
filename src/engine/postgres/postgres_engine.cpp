#include "engine/postgres/postgres_engine.h"

#include "base/error.h"
#include "engine/postgres/base_backup.h"
#include "engine/postgres/restore_target.h"
#include "engine/postgres/session.h"
#include "engine/postgres/wal/decoder.h"
#include "engine/postgres/wal/tablespace.h"

namespace tidemark::engine::postgres {

std::unique_ptr<Session> PostgresEngine::connect(const MemberConfig& member)
{
    return PostgresSession::connect(member, begin_postgres_backup);
}

std::unique_ptr<RestoreTarget> PostgresEngine::open_target(const TargetConfig& target)
{
    return open_postgres_target(target);
}

std::unique_ptr<LogDecoder> PostgresEngine::open_decoder(const DecoderStart& start)
{
    return std::make_unique<wal::IndexBuilder>(start);
}

std::vector<LogPatch> PostgresEngine::keep_tablespace_inside(const LogExcerpt& record)
{
    const auto* layout = wal::layout_of_major(record.version_num / 10000);
    if (layout == nullptr) throw base::Error{base::Code::failed, "the log's version is not known"};
    return wal::keep_inside(
        {.layout = layout, .segment_size = record.log_segment_size, .system_id = {}, .timeline = 0},
        record.start, record.bytes);
}

} // namespace tidemark::engine::postgres
