#pragma once

#include "app/demo/bank.h"
#include "app/demo/bank_check.h"
#include "app/demo/lab_cluster.h"
#include "app/demo/lab_folder.h"
#include "cli/tool.h"
#include "pair.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace tidemark::support {

/// Four members with a bank on them, as an operator may have them: the files of the first two can
/// be read, the third is reached by TCP only, the fourth has a standby. A configuration, a
/// repository, the program.
class SoakGroup {
    app::LabFolder folder_; // first: the clusters live in it

public:
    SoakGroup();

    /// With the configuration.
    base::Process spawn(Tool::Arguments arguments) const;
    ToolRun run(Tool::Arguments arguments) const;
    /// With the repository alone, as on a machine that knows nothing else.
    ToolRun run_without_configuration(Tool::Arguments arguments) const;

    /// Those without a standby.
    std::size_t size() const { return clusters_.size(); }
    app::LabCluster& cluster(std::size_t index) { return *clusters_.at(index); }
    Pair& pair() { return *pair_; }
    /// Of the member that is reached over TCP; what stands in its password file stays.
    void change_password(bool right);
    /// Kills the servers and removes every file of them, and the configuration.
    void destroy();

    const std::filesystem::path& folder() const { return folder_.path(); }
    std::filesystem::path repository() const { return folder() / "repository"; }
    std::filesystem::path restored() const { return folder() / "restored"; }
    /// The bank on what was restored there, where its servers say that they listen.
    app::BankOptions restored_bank() const;

    app::BankOptions bank;

private:
    std::string tcp_url() const;
    void write_configuration() const;

    std::filesystem::path config_;
    std::filesystem::path passwords_;
    Tool tool_;
    std::vector<std::unique_ptr<app::LabCluster>> clusters_;
    std::unique_ptr<Pair> pair_;
};

} // namespace tidemark::support
