#pragma once

#include "engine/postgres/recovery_config.h"
#include "engine/postgres/target_folder.h"
#include "engine/restore_target.h"

#include <filesystem>
#include <string>
#include <vector>

namespace tidemark::engine::postgres {

/// To be called before the first hand-over of a restore: configuration that an earlier restore of
/// ours wrote, and that was backed up since, counts as the backup's own from here on. May be
/// repeated until then.
void adopt_configuration(const TargetFolder& data);

/// Writes the configuration under which a restored server is handed over (rules.md 27), such that
/// `pg_ctl -D DIR start` starts it. The server must be stopped. May be repeated: what people have
/// written in the meantime in place of a file, or in one that lies beside, is kept as NAME.kept and
/// named in `kept_files`.
///
///
/// `old_data`: where the data directory was, for paths that lead into it; a data_directory in the
/// configuration counts more.
///
/// Quarantine: `setup` (purpose keep) becomes postgresql.conf; what the backup held, captured or in
/// the data directory, lies beside as *.from-backup, with every path that would lead to the old
/// place rewritten and each changed line listed. Fills `neutralised` with what the backup's
/// configuration would have done.
void write_quarantine(const TargetFolder& data, ServerSetup setup,
                      const std::vector<CapturedFile>& captured, HandOver& result,
                      const std::filesystem::path& old_data = {});

/// Is there what write_production() puts back? Error{not_restorable} otherwise.
void require_production(const TargetFolder& data, const std::vector<CapturedFile>& captured);

/// As production: the captured or copied configuration is put back, with every path that would
/// lead to the old place rewritten; each changed line is listed. What people have changed in a file
/// that an earlier call wrote stays in force, which is listed, as long as it bears our first line;
/// a captured include needs none, and stays away once it was removed.
void write_production(const TargetFolder& data, const std::vector<CapturedFile>& captured,
                      HandOver& result, const std::filesystem::path& old_data = {});

} // namespace tidemark::engine::postgres
