#include "engine/postgres/postgres_engine.h"

#include "engine/postgres/base_backup.h"
#include "engine/postgres/restore_target.h"
#include "engine/postgres/session.h"
#include "engine/postgres/wal/decoder.h"

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

} // namespace tidemark::engine::postgres
