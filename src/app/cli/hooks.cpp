#include "app/cli/hooks.h"

#include "base/environment.h"
#include "base/error.h"
#include "base/subprocess.h"

#include <fmt/format.h>

namespace tidemark::app {

namespace {

constexpr auto kPatience = std::chrono::seconds{60};

} // namespace

std::string run_hook(const std::vector<std::string>& argv,
                     const std::map<std::string, std::string>& environment)
{
    if (argv.empty()) return {};
    try {
        auto whole = environment;
        whole.merge(base::basic_environment());
        auto result = base::run(argv, {.process = {.environment = std::move(whole),
                                                   .clean_environment = true,
                                                   .new_session = true},
                                       .deadline = kPatience});
        if (result.exit.success()) return {};
        auto last = result.err.substr(0, 400);
        return fmt::format("the hook {} failed: {}{}{}", argv.front(), result.exit.describe(),
                           last.empty() ? "" : ": ", last);
    } catch (const base::Error& error) {
        return fmt::format("the hook {} could not be run: {}", argv.front(), error.what());
    }
}

} // namespace tidemark::app
