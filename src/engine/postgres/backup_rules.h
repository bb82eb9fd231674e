#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

/// What of a data directory belongs to a base backup, by name alone. The lists are those of the
/// server's own BASE_BACKUP (backup/basebackup.c, storage/reinit.c), so that both ways of reading
/// give the same files.
namespace tidemark::engine::postgres {

enum class Fork : std::uint8_t { main, fsm, vm, init };

/// The name of a relation's file: "16384", "16384_fsm.1", "16384_init".
struct RelationFile {
    std::string_view number; ///< relfilenode, as text
    Fork fork = Fork::main;
    std::uint32_t segment = 0;
    friend bool operator==(const RelationFile&, const RelationFile&) = default;
};

/// Empty for anything that is not a permanent relation's file.
std::optional<RelationFile> parse_relation_file(std::string_view name);
/// "t3_16384", "t3_16384_fsm.1": a session's own relation, gone after a restart.
bool is_temporary_relation(std::string_view name);
/// Files that no backup holds, whatever folder they are in.
bool is_excluded_file(std::string_view name);
/// Folders that are kept, but empty (pg_replslot, pg_notify, ...).
bool is_emptied_directory(std::string_view name);
/// Is this folder (relative to the data directory) one that holds relations: base/5,
/// pg_tblspc/16384/PG_15_202209061/5, global?
bool holds_relations(std::string_view directory);
/// Do the pages of this file (relative path) carry checksums?
bool has_page_checksums(std::string_view path);
/// Which files of a folder with relations stay out: temporary ones, and every fork but init of
/// relations that have an init fork (unlogged ones). `init_numbers`: the folder's init forks.
bool is_left_out(std::string_view name, const std::set<std::string, std::less<>>& init_numbers);
/// The transaction id that a name in pg_twophase stands for: 8 hexadecimal digits, 16 from 17 on
/// (then with the epoch in front).
std::optional<std::uint32_t> parse_twophase_name(std::string_view name);

} // namespace tidemark::engine::postgres
