#include "app/cli/data_dir.h"

#include "base/error.h"
#include "base/fd.h"

namespace tidemark::app {

std::optional<std::filesystem::path> readable_data_dir(const model::Identity& identity)
{
    if (identity.data_directory.empty()) return std::nullopt;
    try {
        auto control = base::read_file(
            std::filesystem::path(identity.data_directory) / "global/pg_control", 65536);
        if (control.size() < 8 ||
            std::to_string(base::load_u64(control.data())) != identity.system_id)
            return std::nullopt;
        return identity.data_directory;
    } catch (const base::Error&) {
        return std::nullopt;
    }
}

} // namespace tidemark::app
