#include "app/cli/hooks.h"

#include "base/environment.h"
#include "base/error.h"
#include "base/subprocess.h"
#include "job/status.h"

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

void tell_of_failure(Environment& environment, int code, const std::string& message)
{
    if (!job::run_failed(code) && code != static_cast<int>(base::Code::warnings)) return;
    const model::GroupSpec* group = nullptr;
    try {
        if (environment.configured()) group = &environment.group();
    } catch (const base::Error&) {
        return; // which group it was about is what failed
    }
    if (group == nullptr || group->on_failure.empty()) return;
    auto problem = run_hook(group->on_failure,
                            {{"TIDEMARK_GROUP", group->name},
                             {"TIDEMARK_COMMAND", environment.options().command},
                             {"TIDEMARK_EXIT", std::to_string(code)},
                             {"TIDEMARK_RESULT", std::string(base::code_name(base::Code{code}))},
                             {"TIDEMARK_MESSAGE", message}});
    if (!problem.empty()) environment.progress().warn(problem);
}

std::string first_warning(Environment& environment)
{
    auto warnings = environment.progress().warnings();
    return warnings.empty() ? std::string{} : warnings.front();
}

} // namespace tidemark::app
