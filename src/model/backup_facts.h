#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tidemark::model {

/// Configuration that lives outside the data directory (Debian: /etc/postgresql), or a name worth
/// knowing.
struct CapturedFile {
    std::string path; ///< absolute, on the member's host
    std::string role; ///< "config", "hba", "ident", "include", "tls" (name only)
    std::optional<std::string> content;
    friend bool operator==(const CapturedFile&, const CapturedFile&) = default;
};

/// What a restore of a backup needs to know about the server; read during the backup.
struct BackupFacts {
    std::vector<CapturedFile> captured;
    std::string bootstrap_superuser;
    std::map<std::uint32_t, std::string> databases;        ///< oid -> name
    std::map<std::string, std::string> collation_versions; ///< locale provider:name -> version
    std::map<std::string, std::string> settings;      ///< non-default settings, secrets left out
    std::map<std::uint32_t, std::string> tablespaces; ///< oid -> location
    friend bool operator==(const BackupFacts&, const BackupFacts&) = default;
};

/// Paths of configuration that a copy of the data directory does not bring and whose text is not
/// here either. Not of TLS files: of these the names are all that is wanted.
std::vector<std::string> missing_configuration(const std::vector<CapturedFile>& captured);
/// Those of them that no server can do without: postgresql.conf and pg_hba.conf.
std::vector<std::string> missing_essentials(const std::vector<CapturedFile>& captured);

} // namespace tidemark::model
