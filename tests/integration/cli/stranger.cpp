#include "cli/stranger.h"

#include "base/fd.h"

#include <chrono>
#include <fmt/format.h>
#include <fstream>
#include <sstream>

namespace tidemark::support {

namespace fs = std::filesystem;

namespace {

void make_program(const fs::path& path, const std::string& text)
{
    std::ofstream(path) << "#!/bin/sh\n" << text << "\n";
    fs::permissions(path, fs::perms::owner_all);
}

} // namespace

std::vector<std::string> commands_of(const std::string& sheet)
{
    std::vector<std::string> commands;
    std::istringstream lines(sheet);
    std::string line;
    bool inside = false;
    while (std::getline(lines, line)) {
        if (line.starts_with("```"))
            inside = line == "```sh";
        else if (inside)
            commands.push_back(line);
    }
    return commands;
}

Stranger::Stranger(fs::path home, const app::PostgresInstall& server)
    : home_(std::move(home)), server_(server.bin)
{
    fs::create_directories(home_ / "bin");
    fs::create_symlink(TIDEMARK_PROGRAM, home_ / "bin/tidemark");
    make_program(home_ / "bin/apt-get", "echo \"$@\" >> " + (home_ / "asked").string());
    // It has every version, or this machine would get PostgreSQL's own archive.
    make_program(home_ / "bin/apt-cache", "exit 0");
    std::ofstream(home_ / "asked");
}

base::RunResult Stranger::run(const std::string& command) const
{
    base::ProcessOptions how;
    how.directory = "/";
    how.clean_environment = true;
    how.environment = {{"PATH", fmt::format("{}:{}:/usr/sbin:/usr/bin:/sbin:/bin",
                                            (home_ / "bin").string(), server_.string())},
                       {"XDG_STATE_HOME", (home_ / "state").string()}};
    return base::run({"/bin/sh", "-c", command},
                     {.process = how, .deadline = std::chrono::seconds{120}});
}

std::string Stranger::asked() const
{
    auto bytes = base::read_file(home_ / "asked", 1U << 20);
    return std::string(base::as_text(bytes));
}

} // namespace tidemark::support
