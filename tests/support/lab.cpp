#include "support/lab.h"

#include "base/task_group.h"

#include <fmt/format.h>

namespace tidemark::support {

Lab::Lab(std::size_t count, const app::LabClusterOptions& options) : clusters_(count)
{
    base::TaskGroup group;
    for (std::size_t n = 0; n < count; ++n) {
        group.add([this, n, &options](const std::stop_token&) {
            auto own = options;
            own.name = fmt::format("m{}", n);
            own.folder = folder_.path();
            clusters_[n] = std::make_unique<app::LabCluster>(std::move(own));
            clusters_[n]->start();
        });
    }
    group.wait();
}

std::vector<app::BankMember> Lab::bank_members() const
{
    std::vector<app::BankMember> members;
    for (const auto& cluster : clusters_)
        members.push_back({.name = cluster->name(), .url = cluster->url()});
    return members;
}

} // namespace tidemark::support
