#pragma once

#include "app/demo/bank.h"
#include "app/demo/lab_cluster.h"
#include "app/demo/lab_folder.h"

#include <memory>
#include <vector>

namespace tidemark::support {

/// Running throwaway clusters "m0", "m1", ... in a folder that goes away with them.
class Lab {
public:
    /// Starts `count` clusters at once. Name and folder of `options` are set here.
    explicit Lab(std::size_t count, const app::LabClusterOptions& options = {});

    std::size_t size() const { return clusters_.size(); }
    app::LabCluster& cluster(std::size_t index) { return *clusters_.at(index); }
    const std::filesystem::path& folder() const { return folder_.path(); }
    std::vector<app::BankMember> bank_members() const;

private:
    app::LabFolder folder_;
    std::vector<std::unique_ptr<app::LabCluster>> clusters_;
};

} // namespace tidemark::support
