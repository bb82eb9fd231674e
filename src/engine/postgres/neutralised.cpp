#include "engine/postgres/neutralised.h"

#include "engine/postgres/conf_file.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace tidemark::engine::postgres {

void note_neutralised(std::string_view text, const std::vector<std::string>& libraries,
                      std::set<std::string>& out)
{
    // Names only where the value may hold a secret.
    constexpr std::array<std::string_view, 6> kSilenced = {
        "archive_command",  "archive_library",         "restore_command",
        "primary_conninfo", "archive_cleanup_command", "recovery_end_command"};
    constexpr std::array<std::string_view, 5> kShown = {
        "archive_mode", "listen_addresses", "synchronous_standby_names",
        "session_preload_libraries", "local_preload_libraries"};
    for (const auto& line : split_lines(text)) {
        auto setting = parse_conf_line(line);
        if (!setting || setting->value.empty()) continue;
        const auto& [name, value] = *setting;
        if (name.starts_with("cron.") ||
            std::find(kSilenced.begin(), kSilenced.end(), name) != kSilenced.end()) {
            out.insert(name + " is not in force");
        } else if (std::find(kShown.begin(), kShown.end(), name) != kShown.end()) {
            out.insert(fmt::format("{} = {} is not in force", name, value));
        } else if (name == "shared_preload_libraries") {
            for (std::string_view rest = value; !rest.empty();) {
                auto library = rest.substr(0, rest.find(','));
                rest.remove_prefix(std::min(rest.size(), library.size() + 1));
                while (library.starts_with(' '))
                    library.remove_prefix(1);
                if (std::find(libraries.begin(), libraries.end(), library) == libraries.end()) {
                    out.insert(fmt::format("library {} is not preloaded", library));
                }
            }
        }
    }
}

} // namespace tidemark::engine::postgres
