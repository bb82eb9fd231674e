#pragma once

#include "app/demo/postgres_install.h"
#include "base/subprocess.h"

#include <filesystem>
#include <string>
#include <vector>

namespace tidemark::support {

/// The commands of a recovery sheet in Markdown, in their order.
std::vector<std::string> commands_of(const std::string& sheet);

/// Somebody with a sheet, the program and a shell, and nothing else of ours: no configuration, and
/// no memory of the repository. Packages are not fetched here; what is asked for is written down.
class Stranger {
public:
    /// `home`: a folder that is made for it.
    Stranger(std::filesystem::path home, const app::PostgresInstall& server);

    /// To the letter.
    base::RunResult run(const std::string& command) const;
    /// What apt-get was asked for, a line for each time.
    std::string asked() const;

private:
    std::filesystem::path home_, server_;
};

} // namespace tidemark::support
