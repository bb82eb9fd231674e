#pragma once

#include "app/cli/own_libraries.h"
#include "base/clock.h"
#include "base/error.h"
#include "model/drill.h"
#include "repo/view.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidemark::app {

class Environment;

/// One member, as whoever restores it needs to know it.
struct SheetMember {
    std::string name = {};
    std::string version = {};       ///< "15.18"; empty while there is no backup
    int version_num = 0;            ///< 150018
    std::string place = {};         ///< its url without secrets; empty when not configured
    std::string host = {};          ///< of its url; empty when not known, or this machine
    std::string superuser = {};     ///< bootstrap superuser
    std::uint64_t bytes = 0;        ///< that a restore writes
    std::uint64_t log_room = 0;     ///< and what the log up to the newest mark may add
    std::uint64_t stored_bytes = 0; ///< that it reads
    std::size_t tablespaces = 0;
    std::string libraries = {}; ///< shared_preload_libraries
    std::vector<std::string> databases = {};
};

struct SheetFacts {
    std::string group = {};
    std::string repository = {}; ///< path or URL as commands shall name it
    std::string repository_id = {};
    std::string program = {};    ///< "tidemark 0.1.0"
    OwnLibraries libraries = {}; ///< that it is linked with
    std::string host = {};       ///< where the sheet was written
    base::Time written = {};
    std::filesystem::path dir = "/restore"; ///< the commands restore to here
    std::vector<SheetMember> members = {};
    std::optional<std::string> mark = {}; ///< newest restorable, "m-12"
    base::Time mark_time = {};
    std::optional<model::Proof> proof = {}; ///< the newest
};

enum class SheetFormat : std::uint8_t { markdown, text };

/// The recovery sheet: everything that a person without this host, its configuration and its
/// operator needs to restore the group. Commands stand in blocks of their own ("```sh" in Markdown,
/// "    $ " in text) and are complete as they are.
std::string render_sheet(const SheetFacts& facts, SheetFormat format);

/// Whether two sheets differ in nothing but when they were written, by whom, and the newest mark of
/// that moment: whoever restores asks the repository for that one.
bool tells_the_same(std::string_view one, std::string_view other);

/// From the repository, and from the configuration where there is one.
SheetFacts gather_sheet(Environment& environment);
/// "recovery-shop.md" beside a configuration file.
std::filesystem::path sheet_beside(const std::filesystem::path& config, const std::string& group);
/// Replaces the file (0644: it holds no secret).
void store_sheet(const std::filesystem::path& file, const std::string& text);
/// How it is said that it could not be written. A job's user who may not write there never may, and
/// one line more after each full backup makes nobody read it: `check` names that.
enum class OldSheet : std::uint8_t { warning, note };
/// Writes it beside the configuration in use, if there is one. For jobs that go on without it:
/// false after a failure (a service that may not write there).
bool refresh_sheet(Environment& environment, OldSheet told = OldSheet::warning);
/// After a job that seldom changes what it tells: writes it only when it would tell something else
/// than the one that lies there. Says nothing where it may not write; `check` does.
void keep_sheet_right(Environment& environment);
/// Why this user cannot write it there, if so; nothing is written.
std::optional<std::string> sheet_problem(Environment& environment);
/// Says that the one that may lie there is not of today.
void warn_of_old_sheet(Environment& environment, const base::Error& error);

} // namespace tidemark::app
