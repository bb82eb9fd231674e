#include "engine/postgres/config_capture.h"

#include "base/fd.h"
#include "engine/postgres/access_rules.h"
#include "engine/postgres/conf_file.h"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <set>
#include <utility>

namespace tidemark::engine::postgres {

namespace {

namespace fs = std::filesystem;
using base::Error;

constexpr std::size_t kFileLimit = 1U << 20;
constexpr int kDepthLimit = 10; // the server's own
constexpr std::size_t kFilesLimit = 1000;

bool lies_inside(const std::string& path, const std::string& directory)
{
    if (directory.empty()) return false;
    auto inner = fs::path(path).lexically_normal().string();
    auto outer = fs::path(directory).lexically_normal().string();
    while (outer.ends_with('/'))
        outer.pop_back();
    return inner.starts_with(outer + "/");
}

/// Follows one file and its includes.
class Capture {
public:
    Capture(const ConfigPlaces& places, const ConfigReader& reader)
        : places_(places), reader_(reader)
    {
    }

    enum class Grammar { settings, rules };
    void follow(const std::string& path, const std::string& role, Grammar grammar, int depth = 0)
    {
        if (path.empty() || depth > kDepthLimit || found.size() >= kFilesLimit) return;
        if (!seen_.insert(path).second) return;
        auto [content, absent] = reader_.read(path);
        if (absent) return;
        list(path, role, content);
        if (!content) return;
        for (const auto& include : includes_of(*content, grammar)) {
            auto target = (fs::path(path).parent_path() / include.path).lexically_normal().string();
            if (include.kind != Include::Kind::directory) {
                follow(target, "include", grammar, depth + 1);
            } else if (auto names = reader_.list(target); !names) {
                // Which files are in it nobody knows; but that there are some.
                if (seen_.insert(target).second) list(target, "include", {});
            } else {
                std::sort(names->begin(), names->end());
                for (const auto& name : *names) {
                    if (name.starts_with('.') || !name.ends_with(".conf")) continue;
                    follow((fs::path(target) / name).string(), "include", grammar, depth + 1);
                }
            }
        }
    }

    std::vector<CapturedFile> found;

private:
    void list(const std::string& path, const std::string& role,
              const std::optional<std::string>& content)
    {
        if (!lies_inside(path, places_.data_directory)) found.push_back({path, role, content});
    }

    static std::vector<Include> includes_of(const std::string& text, Grammar grammar)
    {
        std::vector<Include> out;
        if (grammar == Grammar::settings) {
            for (const auto& line : split_lines(text))
                if (auto include = parse_include(line)) out.push_back(*include);
            return out;
        }
        for (const auto& rule : split_rules(text))
            for (auto& found : rule_includes(rule))
                out.push_back(std::move(found.include));
        return out;
    }

    const ConfigPlaces& places_;
    const ConfigReader& reader_;
    std::set<std::string> seen_;
};

/// One value, or nothing where we may not ask.
std::optional<std::string> ask(Connection& connection, const std::string& sql,
                               const std::vector<std::optional<std::string>>& params = {})
{
    try {
        auto result = connection.exec_params(sql, params);
        return result.rows() == 1 ? result.text(0, 0) : std::nullopt;
    } catch (const SqlError&) {
        if (connection.broken()) throw;
        return std::nullopt;
    }
}

void read_databases(Connection& connection, BackupFacts& facts)
{
    auto rows = connection.exec("SELECT oid, datname FROM pg_catalog.pg_database");
    for (int i = 0; i < rows.rows(); ++i) {
        facts.databases[static_cast<std::uint32_t>(rows.integer(i, 0).value_or(0))] =
            rows.get(i, 1);
    }
    rows = connection.exec("SELECT oid, pg_catalog.pg_tablespace_location(oid) "
                           "FROM pg_catalog.pg_tablespace WHERE oid NOT IN (1663, 1664)");
    for (int i = 0; i < rows.rows(); ++i) {
        facts.tablespaces[static_cast<std::uint32_t>(rows.integer(i, 0).value_or(0))] =
            rows.get(i, 1);
    }
}

} // namespace

std::map<std::string, std::string> collation_versions(Connection& connection)
{
    int version = connection.server_version();
    std::string locale = version >= 170000   ? "coalesce(colllocale, collcollate)"
                         : version >= 150000 ? "coalesce(colliculocale, collcollate)"
                                             : "collcollate";
    // The versions that the host has now; what an object was built with the catalogue knows.
    std::string sql = fmt::format(
        "SELECT DISTINCT collprovider::text || ':' || {}, "
        "pg_catalog.pg_collation_actual_version(oid) "
        "FROM pg_catalog.pg_collation WHERE collprovider IN ('c', 'i') AND (oid >= 16384 OR "
        "{} IN (SELECT datcollate::text FROM pg_catalog.pg_database)) "
        "AND pg_catalog.pg_collation_actual_version(oid) IS NOT NULL",
        locale, locale);
    if (version >= 150000) {
        sql += fmt::format(
            " UNION SELECT datlocprovider::text || ':' || coalesce({}, datcollate), "
            "pg_catalog.pg_database_collation_actual_version(oid) FROM pg_catalog.pg_database "
            "WHERE pg_catalog.pg_database_collation_actual_version(oid) IS NOT NULL",
            version >= 170000 ? "datlocale" : "daticulocale");
    }
    std::map<std::string, std::string> versions;
    auto rows = connection.exec(sql);
    for (int i = 0; i < rows.rows(); ++i) {
        versions[std::string(rows.get(i, 0))] = rows.get(i, 1);
    }
    return versions;
}

namespace {

void read_settings(Connection& connection, BackupFacts& facts)
{
    auto rows = connection.exec(
        "SELECT name, pg_catalog.current_setting(name, true) FROM pg_catalog.pg_settings "
        "WHERE source NOT IN ('default', 'override', 'client', 'session') ORDER BY name");
    for (int i = 0; i < rows.rows(); ++i) {
        ConfLine setting{std::string(rows.get(i, 0)), std::string(rows.get(i, 1))};
        if (!may_hold_secret(setting)) facts.settings.emplace(setting.name, setting.value);
    }
}

} // namespace

std::vector<CapturedFile> capture_configuration(const ConfigPlaces& places,
                                                const ConfigReader& reader)
{
    Capture capture{places, reader};
    capture.follow(places.config_file, "config", Capture::Grammar::settings);
    capture.follow(places.hba_file, "hba", Capture::Grammar::rules);
    capture.follow(places.ident_file, "ident", Capture::Grammar::rules);
    for (const auto& name : places.tls_files) {
        auto path = (fs::path(places.data_directory) / name).lexically_normal().string();
        if (!lies_inside(path, places.data_directory)) capture.found.push_back({path, "tls", {}});
    }
    return std::move(capture.found);
}

ConfigPlaces find_configuration(Connection& connection)
{
    auto setting = [&](const std::string& name) {
        return ask(connection, "SELECT setting FROM pg_catalog.pg_settings WHERE name = $1", {name})
            .value_or("");
    };
    ConfigPlaces places;
    places.data_directory = setting("data_directory");
    places.config_file = setting("config_file");
    places.hba_file = setting("hba_file");
    places.ident_file = setting("ident_file");
    if (setting("ssl") == "on") {
        for (const char* name : {"ssl_cert_file", "ssl_key_file", "ssl_ca_file", "ssl_crl_file",
                                 "ssl_dh_params_file"}) {
            if (auto value = setting(name); !value.empty()) places.tls_files.push_back(value);
        }
    }
    return places;
}

ConfigReader server_reader(Connection& connection)
{
    ConfigReader reader;
    reader.read = [&](const std::string& path) -> ConfigText {
        try {
            auto rows = connection.exec_binary(
                fmt::format("SELECT pg_catalog.pg_read_binary_file($1, 0, {}, true)",
                            kFileLimit + 1),
                {path});
            if (rows.rows() != 1 || rows.is_null(0, 0)) return {.text = {}, .absent = true};
            auto bytes = rows.bytes(0, 0);
            if (bytes.size() > kFileLimit) return {};
            return {.text = std::string(base::as_text(bytes))};
        } catch (const SqlError&) {
            if (connection.broken()) throw;
            return {}; // not granted, mostly
        }
    };
    reader.list = [&](const std::string& path) -> std::optional<std::vector<std::string>> {
        auto joined = ask(connection,
                          "SELECT coalesce(pg_catalog.string_agg(name, '/'), '') "
                          "FROM pg_catalog.pg_ls_dir($1) AS d(name)",
                          {path});
        if (!joined) return std::nullopt;
        std::vector<std::string> names;
        for (std::string_view rest = *joined; !rest.empty();) {
            auto name = rest.substr(0, rest.find('/'));
            names.emplace_back(name);
            rest.remove_prefix(std::min(rest.size(), name.size() + 1));
        }
        return names;
    };
    return reader;
}

ConfigReader local_reader(ConfigReader fallback)
{
    ConfigReader reader;
    reader.read = [fallback](const std::string& path) -> ConfigText {
        try {
            return {.text = std::string(base::as_text(base::read_file(path, kFileLimit)))};
        } catch (const Error&) {
            auto there = fallback.read(path);
            std::error_code error;
            // A folder that we see without the file settles it; one that is not here may be
            // elsewhere only.
            if (!there.text && fs::is_directory(fs::path(path).parent_path(), error) &&
                fs::status(path, error).type() == fs::file_type::not_found)
                there.absent = true;
            return there;
        }
    };
    reader.list = [fallback = std::move(fallback)](
                      const std::string& path) -> std::optional<std::vector<std::string>> {
        std::error_code error;
        std::vector<std::string> names;
        for (fs::directory_iterator at{path, error}, end; !error && at != end;
             at.increment(error)) {
            names.push_back(at->path().filename().string());
        }
        if (error) return fallback.list(path);
        return names;
    };
    return reader;
}

BackupFacts collect_facts(Connection& connection, const ConfigReader& reader)
{
    BackupFacts facts;
    facts.bootstrap_superuser =
        ask(connection, "SELECT rolname FROM pg_catalog.pg_roles WHERE oid = 10").value_or("");
    read_databases(connection, facts);
    facts.collation_versions = collation_versions(connection);
    read_settings(connection, facts);
    facts.captured = capture_configuration(find_configuration(connection), reader);
    return facts;
}

} // namespace tidemark::engine::postgres
