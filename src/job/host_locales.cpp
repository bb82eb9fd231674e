#include "job/host_locales.h"

#include <fmt/format.h>
#include <gnu/libc-version.h>
#include <locale.h>

namespace tidemark::job {

std::vector<std::string> foreseen_collations(const std::map<std::string, std::string>& at_backup)
{
    // The server's own answer for the C library's locales (pg_collation_actual_version).
    std::string here = ::gnu_get_libc_version();
    std::vector<std::string> out;
    for (const auto& [locale, version] : at_backup) {
        if (!locale.starts_with("c:")) continue;
        auto name = locale.substr(2);
        auto* found = ::newlocale(LC_ALL_MASK, name.c_str(), nullptr);
        if (found != nullptr) ::freelocale(found);
        if (found == nullptr) {
            out.push_back(fmt::format("locale {} is not installed on this host: databases and "
                                      "indexes that use it cannot be used until it is",
                                      name));
        } else if (version != here) {
            out.push_back(fmt::format("locale {} has version {} here and had {} at backup: REINDEX "
                                      "what is sorted by it after the restore",
                                      name, here, version));
        }
    }
    return out;
}

} // namespace tidemark::job
