#include "app/url_rules.h"

#include "engine/postgres/pq.h"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>

namespace tidemark::app {

namespace {

/// "mysql" of mysql://...; empty when there is none.
std::string_view scheme_of(std::string_view url)
{
    auto scheme = url.substr(0, std::min(url.find("://"), url.size()));
    bool plain = std::ranges::all_of(scheme, [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '+' || c == '-' || c == '.';
    });
    return scheme.size() < url.size() && plain ? scheme : std::string_view{};
}

} // namespace

std::string member_url_problem(std::string_view url)
{
    auto scheme = scheme_of(url);
    const bool postgres = scheme == "postgresql" || scheme == "postgres";
    if (!scheme.empty() && !postgres)
        return fmt::format("names a server at {}://, which this version does not support; write "
                           "postgresql://USER@HOST/postgres",
                           scheme);
    if (postgres || url.find('=') != url.npos)
        return engine::postgres::conninfo_problem(std::string(url));
    return "is no connection string, such as postgresql://USER@HOST/postgres or "
           "\"host=HOST user=USER\"";
}

std::string repository_url_problem(std::string_view url)
{
    if (url.starts_with("file://")) url.remove_prefix(7);
    auto scheme = scheme_of(url);
    if (scheme.empty()) return {};
    return fmt::format("names a repository at {}://, which this version does not support; use a "
                       "path or file://PATH",
                       scheme);
}

} // namespace tidemark::app
