#pragma once

#include "engine/backup_source.h"
#include "engine/postgres/pq.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tidemark::engine::postgres {

/// What reading a configuration file came to. The text may hold any bytes: a remark in it may be in
/// another encoding than the server's.
struct ConfigText {
    std::optional<std::string> text;
    bool absent = false; ///< there is no such file, so nothing is missed
};

/// How configuration files of the member's host are reached. `list` returns nothing for what is not
/// there or may not be read.
struct ConfigReader {
    std::function<ConfigText(const std::string& path)> read;
    std::function<std::optional<std::vector<std::string>>(const std::string& directory)> list;
};

/// Where a server keeps its configuration.
struct ConfigPlaces {
    std::string data_directory;
    std::string config_file;
    std::string hba_file;
    std::string ident_file;
    std::vector<std::string> tls_files; ///< as set; relative ones are in the data directory
};

/// Reads the configuration that a copy of the data directory does not hold: config_file, hba_file,
/// ident_file and everything they include, as far as it lies outside the data directory. Of TLS
/// files only the names. What cannot be read is listed without content, what does not exist is not
/// listed.
std::vector<CapturedFile> capture_configuration(const ConfigPlaces& places,
                                                const ConfigReader& reader);

/// Asks the server; fields stay empty where we may not know.
ConfigPlaces find_configuration(Connection& connection);
/// Reads through the server's functions, where it grants them.
ConfigReader server_reader(Connection& connection);
/// Reads this host's files, then asks `fallback`.
ConfigReader local_reader(ConfigReader fallback);

/// Facts about the server that a restore needs and no file tells. The captured files are added.
BackupFacts collect_facts(Connection& connection, const ConfigReader& reader);

/// Versions that this server's host gives to the locales its databases use: "provider:name" ->
/// version, provider as in pg_collation.
std::map<std::string, std::string> collation_versions(Connection& connection);

} // namespace tidemark::engine::postgres
