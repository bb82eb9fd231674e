#include "app/cli/password_check.h"

#include "app/cli/check_parts.h"
#include "engine/postgres/pq.h"

#include <algorithm>

namespace tidemark::app {

std::optional<engine::Check> password_check(const model::MemberSpec& member)
{
    using engine::postgres::holds_secret;
    const bool backup_from = member.backup_from && holds_secret(*member.backup_from);
    if (!backup_from && !holds_secret(member.url) &&
        std::ranges::none_of(member.more_urls, holds_secret))
        return std::nullopt;
    auto check = failed("password",
                        backup_from ? "backup_from holds a password" : "the url holds a password",
                        "put it into a password file (~/.pgpass, mode 0600) and take it out of the "
                        "configuration");
    check.state = engine::CheckState::waiting;
    return check;
}

} // namespace tidemark::app
