#pragma once

#include "base/subprocess.h"
#include "engine/content_check.h"
#include "engine/postgres/restored_server.h"

#include <filesystem>
#include <optional>
#include <stop_token>
#include <string_view>
#include <vector>

namespace tidemark::engine::postgres {

struct AmcheckOptions {
    std::filesystem::path bin_dir; ///< pg_amcheck stands beside the server's programs
    int version_num = 0;
    std::optional<base::User> user = {};
    unsigned workers = 1;
};

/// Runs pg_amcheck over all databases of a restored server: every page of every table with its
/// TOAST table and of every B-tree index. The extension is made where it is missing, so only on a
/// copy. Where the program or the extension is not installed, `ran` is false and `text` says which
/// package has it.
ContentCheck run_amcheck(const RestoredServer& server, const AmcheckOptions& options,
                         std::stop_token stop);

/// The program's report, one line for each fault: what it indents belongs to the line before.
std::vector<std::string> parse_amcheck_report(std::string_view out);

} // namespace tidemark::engine::postgres
