#include "app/cli/commands.h"
#include "base/log.h"
#include "job/log_feeder.h"
#include "repo/repository.h"

#include <cstdio>
#include <exception>
#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>

namespace tidemark::app {
namespace {

using Command = int (*)(Environment&);

const std::map<std::string, Command>& commands()
{
    static const std::map<std::string, Command> all = {
        {"init", run_init},       {"check", run_check},
        {"backup", run_backup},   {"log", run_log},
        {"mark", run_mark},       {"reindex", run_reindex},
        {"list", run_list},       {"show", run_show},
        {"status", run_status},   {"audit", run_audit},
        {"verify", run_verify},   {"restore", run_restore},
        {"demo", run_demo},       {"run", run_run},
        {"drill", run_drill},     {"sheet", run_sheet},
        {"expire", run_expire},   {"hold", run_hold},
        {"release", run_release}, {"add-member", run_add_member},
        {"leave", run_leave},
    };
    return all;
}

int run(const Options& options)
{
    if (options.command == "fetch-log")
        return job::fetch_log(options.fetch_plan, options.log_name, options.log_target);
    Output output(options.command, options.json);
    if (options.command == "version") {
        auto format = repo::RepositoryHead{}.format;
        output.text(fmt::format("{}\nrepository format {}\n", version_text(), format));
        output.document()["version"] = version_text().substr(version_text().find(' ') + 1);
        output.document()["repository_format"] = format;
        return output.finish(0, nullptr);
    }
    if (options.command == "completion") {
        output.text(completion(options.subject));
        return output.finish(0, nullptr);
    }
    if (options.command == "manual") {
        output.text(manual_page());
        return output.finish(0, nullptr);
    }
    Environment environment(options, output);
    auto close = [&] {
        environment.progress().close();
        output.document()["warnings"] = environment.progress().warnings();
    };
    try {
        int code = commands().at(options.command)(environment);
        close();
        return output.finish(code, nullptr);
    } catch (const base::Error& error) {
        close();
        return output.finish(static_cast<int>(error.code()), &error);
    } catch (const std::exception& error) {
        close();
        base::Error wrapped{base::Code::failed, error.what()};
        return output.finish(static_cast<int>(base::Code::failed), &wrapped);
    }
}

} // namespace
} // namespace tidemark::app

int main(int argc, char** argv)
{
    auto parsed = tidemark::app::parse_command_line(argc, argv);
    if (parsed.finished) return parsed.code;
    tidemark::base::log_setup({.level = parsed.options.verbose ? tidemark::base::LogLevel::debug
                                                               : tidemark::base::LogLevel::info});
    return tidemark::app::run(parsed.options);
}
