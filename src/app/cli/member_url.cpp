#include "app/cli/member_url.h"

#include "base/error.h"
#include "base/host.h"
#include "model/ids.h"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>
#include <set>

namespace tidemark::app {

namespace {

/// "postgresql://..." or libpq's "host=... dbname=..." form.
bool is_connection_string(std::string_view text)
{
    if (text.starts_with("postgresql://") || text.starts_with("postgres://")) return true;
    for (std::string_view key : {"host=", "hostaddr=", "service=", "dbname=", "port=", "user="}) {
        if (text.starts_with(key)) return true;
    }
    return false;
}

/// "db1:5432,db2", between user and database.
std::string_view host_part(std::string_view url)
{
    std::string_view host;
    if (auto scheme = url.find("://"); scheme != std::string_view::npos) {
        host = url.substr(scheme + 3);
        host = host.substr(0, host.find_first_of("/?"));
        if (auto at = host.rfind('@'); at != std::string_view::npos) host.remove_prefix(at + 1);
    } else if (auto at = url.find("host="); at != std::string_view::npos) {
        host = url.substr(at + 5);
        host = host.substr(0, host.find(' '));
    }
    return host;
}

/// First label of the host; empty for a socket folder or no host.
std::string host_label(std::string_view url)
{
    auto host = host_part(url);
    host = host.substr(0, host.find_first_of(":,."));
    std::string name;
    for (char c : host) {
        auto low = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        if (std::isalnum(static_cast<unsigned char>(low)) != 0 || low == '-' || low == '_')
            name += low;
        else
            return "";
    }
    return model::is_valid_name(name) && std::isdigit(static_cast<unsigned char>(name[0])) == 0
               ? name
               : "";
}

} // namespace

std::string host_of_url(std::string_view url)
{
    std::string out;
    auto rest = host_part(url);
    while (!rest.empty()) {
        auto one = rest.substr(0, rest.find(','));
        rest.remove_prefix(std::min(rest.size(), one.size() + 1));
        // "[::1]:5432": the colons inside the brackets belong to the host.
        auto colon = one.find(':', one.starts_with('[') ? one.find(']') : 0);
        one = one.substr(0, colon);
        auto host = one;
        if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
        const bool socket =
            host.starts_with("%2F") || host.starts_with("%2f") || host.starts_with("%40");
        // Our own name says something elsewhere, too, and on paper.
        const bool telling = host == base::host_name() && host != "localhost";
        if (socket || (base::names_this_host(host) && !telling)) continue;
        out += (out.empty() ? "" : ", ") + std::string(one);
    }
    return out;
}

std::vector<model::MemberSpec> members_of_urls(const std::vector<std::string>& urls)
{
    std::vector<model::MemberSpec> members;
    std::set<std::string> taken;
    for (const auto& argument : urls) {
        model::MemberSpec member;
        member.url = argument;
        if (!is_connection_string(argument)) {
            auto at = argument.find('=');
            if (at == std::string::npos ||
                !is_connection_string(std::string_view(argument).substr(at + 1))) {
                throw base::Error{
                    base::Code::usage,
                    fmt::format("'{}' is neither a connection string nor NAME=CONNECTION",
                                argument.substr(0, at)),
                    {.hint = "for example orders=postgresql://tidemark@orders-db/postgres"}};
            }
            member.name = model::checked_name("member", argument.substr(0, at));
            member.url = argument.substr(at + 1);
            if (!taken.insert(member.name).second)
                throw base::Error{base::Code::usage, "two members are called " + member.name};
        } else {
            auto base_name = host_label(argument);
            if (base_name.empty() || base_name == "localhost")
                base_name = "m" + std::to_string(members.size() + 1);
            member.name = base_name;
            for (int n = 2; !taken.insert(member.name).second; ++n)
                member.name = fmt::format("{}-{}", base_name, n);
        }
        members.push_back(std::move(member));
    }
    return members;
}

} // namespace tidemark::app
