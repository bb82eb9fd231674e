#include "app/cli/hooks.h"

#include "base/environment.h"
#include "base/error.h"
#include "base/subprocess.h"

#include <cerrno>
#include <fmt/format.h>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

namespace tidemark::app {

namespace {

constexpr auto kHookPatience = std::chrono::seconds{60};

bool is_file(const std::string& path)
{
    struct stat info = {};
    return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

} // namespace

std::string find_hook(const std::string& program)
{
    if (program.find('/') != std::string::npos) {
        if (::access(program.c_str(), X_OK) != 0)
            throw base::system_error("cannot run " + program, errno);
        if (!is_file(program)) throw base::Error{base::Code::failed, program + " is no program"};
        return program;
    }
    auto environment = base::basic_environment();
    auto path = environment.find("PATH");
    std::istringstream folders(path == environment.end() ? "/usr/local/bin:/usr/bin:/bin"
                                                         : path->second);
    for (std::string folder; std::getline(folders, folder, ':');) {
        auto file = folder + "/" + program;
        if (!folder.empty() && ::access(file.c_str(), X_OK) == 0 && is_file(file)) return file;
    }
    throw base::Error{base::Code::failed, "there is no program " + program + " in PATH"};
}

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
                                       .deadline = kHookPatience});
        if (result.exit.success()) return {};
        auto last = result.err.substr(0, 400);
        return fmt::format("the hook {} failed: {}{}{}", argv.front(), result.exit.describe(),
                           last.empty() ? "" : ": ", last);
    } catch (const base::Error& error) {
        return fmt::format("the hook {} could not be run: {}", argv.front(), error.what());
    }
}

} // namespace tidemark::app
