#include "engine/postgres/start_command.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::engine::postgres {

std::string shell_word(const std::string& text)
{
    constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                        "0123456789_-./:@%+,=";
    if (!text.empty() && text.find_first_not_of(kPlain) == text.npos) return text;
    std::string out = "'";
    for (char c : text) {
        if (c == '\'')
            out += "'\\''";
        else
            out += c;
    }
    return out + "'";
}

bool pg_ctl_misreads(const std::filesystem::path& data_dir)
{
    return data_dir.native().find_first_of("\"$`\\\n") != std::string::npos;
}

std::string start_command(const std::filesystem::path& bin_dir,
                          const std::filesystem::path& data_dir, const std::string& user)
{
    bool within = pg_ctl_misreads(data_dir);
    auto as = user.empty() ? std::string() : fmt::format("runuser -u {} -- ", shell_word(user));
    return fmt::format("{}{}{} -D {} -l {} start",
                       within ? fmt::format("cd {} && ", shell_word(data_dir.native())) : "", as,
                       shell_word((bin_dir / "pg_ctl").native()),
                       within ? "." : shell_word(data_dir.native()),
                       within ? "server.log" : shell_word((data_dir / "server.log").native()));
}

} // namespace tidemark::engine::postgres
