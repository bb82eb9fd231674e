#pragma once

#include "engine/postgres/target_folder.h"
#include "engine/restore_target.h"

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The files that make up the configuration in a restored data directory, and whose they are: the
/// backup's (captured, or set aside as NAME.from-backup), ours, or a person's, which is never lost.
namespace tidemark::engine::postgres {

inline constexpr std::string_view kOurMark = "# Written by tidemark";
/// Ours, too: what write_production() writes.
inline constexpr std::string_view kProductionMark =
    "# Written by tidemark from the backup's own; changed lines were listed";
inline constexpr const char* kAutoConf = "postgresql.auto.conf";
/// Below the data directory: captured includes, under their old paths.
inline constexpr const char* kCapturedFolder = "captured";

struct ConfigFile {
    const char* role; ///< that of captured files
    const char* name; ///< in a data directory
};
inline constexpr ConfigFile kMainConf = {"config", "postgresql.conf"};
inline constexpr ConfigFile kHba = {"hba", "pg_hba.conf"};
inline constexpr ConfigFile kIdent = {"ident", "pg_ident.conf"};
inline constexpr std::array<ConfigFile, 4> kConfigFiles = {
    {kHba, kIdent, {"", kAutoConf}, kMainConf}};

bool is_ours(const std::optional<std::string>& text);
bool is_production(const std::optional<std::string>& text);
/// NAME.from-backup
std::string aside_name(const std::string& name);

/// Writes the file. What lies there and is neither this nor `known` may be a person's: it is kept
/// as NAME.kept, .kept-2 and so on; no such file is ever overwritten.
void put_file(const TargetFolder& data, const std::string& name, const std::string& text,
              const std::optional<std::string>& known = {});

/// The captured file of that role, if its content is there.
const CapturedFile* find_role(const std::vector<CapturedFile>& captured, std::string_view role);
/// Where a captured include goes. The path is what a manifest says: it stays below the folder
/// whatever that is.
std::filesystem::path captured_place(const CapturedFile& file);

/// The backup's own text of one file: captured, or from the data directory.
std::optional<std::string> original(const TargetFolder& data,
                                    const std::vector<CapturedFile>& captured,
                                    const ConfigFile& wanted);

/// Makes room for a file of ours. Where the backup's is captured, what lies in its place is a
/// person's or was never in force; elsewhere it is set aside, unless an earlier run did so. What
/// ALTER SYSTEM wrote in quarantine is a person's, too. A link is kept as what it is.
void make_room(const TargetFolder& data, const std::vector<CapturedFile>& captured,
               const ConfigFile& file);

/// To be called before our own server starts in it: takes postgresql.auto.conf away, which is read
/// after any file and would win over ours (rules.md 23). May be repeated.
void park_auto_conf(const TargetFolder& data);
/// Puts it back: for its users when our server has stopped, and for a hand-over to judge. Where
/// somebody made another one meanwhile, the one that holds the other's settings counts, else the
/// older one; the other becomes NAME.kept.
void unpark_auto_conf(const TargetFolder& data);

/// One that came with a backup is no longer anybody's.
void drop_parked(const TargetFolder& data);

/// Names in `result` all that was kept and lies there: of two passes with a kill between them the
/// second finds no more to keep, and its report is the one that is read.
void note_kept(const TargetFolder& data, const std::vector<CapturedFile>& captured,
               HandOver& result);

} // namespace tidemark::engine::postgres
