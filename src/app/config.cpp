#include "app/config.h"

#include "app/config_reader.h"
#include "base/error.h"

#include <cerrno>
#include <cstdlib>
#include <fmt/format.h>
#include <fstream>
#include <sstream>
#include <toml++/toml.h>

namespace tidemark::app {

using base::Code;
using base::Error;

namespace {

std::string quoted_toml(std::string_view text)
{
    std::string out = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

} // namespace

const model::RepositorySpec* Config::repository(std::string_view name) const
{
    for (const auto& entry : repositories) {
        if (entry.name == name) return &entry;
    }
    return nullptr;
}

const model::GroupSpec* Config::group(std::string_view name) const
{
    for (const auto& entry : groups) {
        if (entry.name == name) return &entry;
    }
    return nullptr;
}

Config parse_config(std::string_view text, const std::filesystem::path& path)
{
    Config config;
    config.path = path;
    toml::table root;
    try {
        root = toml::parse(text, path.string());
    } catch (const toml::parse_error& error) {
        throw Error{
            Code::usage,
            fmt::format("{}:{}: {}", path.string(), error.source().begin.line, error.description()),
            {.hint = "correct the configuration file and run the command again"}};
    }
    Findings findings{path};
    Section top(root, "", findings);
    top.allow({{"repository", "group"}, {"notify"}});
    for (const auto& [name, section] : top.tables("repository"))
        config.repositories.push_back(read_repository(name, section));
    // Without a group there may be a repository: what is left of a group that left.
    if (!top.has("repository") && !top.has("group"))
        findings.mistake(1, "nothing is configured: there is no [repository.NAME] and no "
                            "[group.NAME]");
    for (const auto& [name, section] : top.tables("group")) {
        auto group = read_group(name, section);
        if (config.repository(group.repository) == nullptr)
            section.mistake_at("repository", fmt::format("{} needs [repository.{}]", section.name(),
                                                         group.repository));
        config.groups.push_back(std::move(group));
    }
    findings.finish();
    config.inactive = std::move(findings.inactive);
    return config;
}

Config load_config(const std::filesystem::path& path)
{
    if (std::error_code unknown; std::filesystem::is_directory(path, unknown)) {
        throw Error{Code::usage,
                    fmt::format("{} is a folder, not a configuration file", path.string()),
                    {.hint = fmt::format("name the file in it, such as --config {}",
                                         (path / "tidemark.toml").string())}};
    }
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        const int why = errno;
        throw Error{Code::usage,
                    fmt::format("cannot read the configuration file {}: {}", path.string(),
                                std::generic_category().message(why != 0 ? why : EIO)),
                    {.hint = "name another with --config FILE, or make one with tidemark init"}};
    }
    std::ostringstream text;
    text << file.rdbuf();
    return parse_config(text.str(), path);
}

std::optional<std::filesystem::path> find_config()
{
    if (const char* named = std::getenv("TIDEMARK_CONFIG"); named != nullptr && *named != '\0')
        return named;
    for (const char* candidate : {"tidemark.toml", "/etc/tidemark/tidemark.toml"}) {
        std::error_code ignored;
        if (std::filesystem::exists(candidate, ignored)) return candidate;
    }
    return std::nullopt;
}

std::string render_config(const model::RepositorySpec& repository, const model::GroupSpec& group)
{
    std::string out =
        "# Written by tidemark init. Every key is described in docs/guide/configuration.md.\n\n";
    out +=
        fmt::format("[repository.{}]\nurl = {}\n\n", repository.name, quoted_toml(repository.url));
    out += fmt::format("[group.{}]\n", group.name);
    out += fmt::format("mark = {{ every = \"15m\", wait = \"10s\" }}\nkeep = {{ days = {} }}\n",
                       group.keep_days);
    for (const auto& member : group.members)
        out += "\n" + render_member(group.name, member);
    return out;
}

std::string render_member(const std::string& group, const model::MemberSpec& member)
{
    std::string url = quoted_toml(member.url);
    for (const auto& more : member.more_urls)
        url += ", " + quoted_toml(more);
    if (!member.more_urls.empty()) url = "[" + url + "]";
    auto out = fmt::format("[[group.{}.member]]\nname = {}\nurl  = {}\n", group,
                           quoted_toml(member.name), url);
    if (member.data_dir)
        out += fmt::format("data_dir = {}\n", quoted_toml(member.data_dir->string()));
    if (member.gid_pattern != "identical")
        out += fmt::format("gid_pattern = {}\n", quoted_toml(member.gid_pattern));
    if (member.backup_from)
        out += fmt::format("backup_from = {}\n", quoted_toml(*member.backup_from));
    if (!member.decision.empty())
        out += fmt::format("decision = {}\n", quoted_toml(member.decision));
    return out;
}

} // namespace tidemark::app
