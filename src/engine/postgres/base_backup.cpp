#include "engine/postgres/base_backup.h"

#include "engine/postgres/local_backup.h"
#include "engine/postgres/wire_backup.h"

namespace tidemark::engine::postgres {

std::unique_ptr<BackupSource> begin_postgres_backup(const MemberConfig& member,
                                                    const BackupOptions& options)
{
    return member.data_dir ? begin_local_backup(member, options)
                           : begin_wire_backup(member, options);
}

} // namespace tidemark::engine::postgres
