#pragma once

#include "model/group.h"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidemark::app {

/// A configuration file, read and checked (docs/guide/configuration.md).
struct Config {
    std::filesystem::path path; ///< empty when there is no file
    std::vector<model::RepositorySpec> repositories;
    std::vector<model::GroupSpec> groups;
    std::vector<std::string>
        inactive; ///< known keys that this version does not act on yet, "group.shop.incr"

    const model::RepositorySpec* repository(std::string_view name) const;
    const model::GroupSpec* group(std::string_view name) const;
};

/// Parses TOML. All mistakes are collected into one Error{usage}, one line each: "FILE:LINE: what
/// (did you mean ...?)".
Config parse_config(std::string_view text, const std::filesystem::path& path);
Config load_config(const std::filesystem::path& path);

/// The file that is read when none is named: $TIDEMARK_CONFIG, ./tidemark.toml,
/// /etc/tidemark/tidemark.toml; empty when none exists.
std::optional<std::filesystem::path> find_config();

/// TOML text of a new configuration, as `init` writes it.
std::string render_config(const model::RepositorySpec& repository, const model::GroupSpec& group);
/// The part of it that describes one member.
std::string render_member(const std::string& group, const model::MemberSpec& member);

} // namespace tidemark::app
