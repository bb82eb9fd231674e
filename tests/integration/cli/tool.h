#pragma once

#include "base/subprocess.h"

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace tidemark::support {

/// How one run of the real program ended.
struct ToolRun {
    std::string line; ///< what was run, for messages
    base::Exit exit;
    std::string out;
    std::string err;

    int code() const { return exit.signal != 0 ? 128 + exit.signal : exit.code; }
    /// stdout as JSON; a null value when it is none.
    nlohmann::json json() const;
    /// All of it, for a failed expectation.
    std::string text() const;
    /// One message that begins with "tidemark: " and one next step, as every failure shall print.
    bool explained() const;
};

/// Runs the `tidemark` binary with an environment of the test's own: no configuration but what is
/// named, and a memory of repositories that dies with the test.
class Tool {
public:
    explicit Tool(std::filesystem::path scratch);

    using Arguments = std::vector<std::string>;
    ToolRun run(const Arguments& arguments) const;
    base::Process spawn(const Arguments& arguments) const;
    static ToolRun finish(base::Process process, const Arguments& arguments);
    /// How run() and spawn() start it, for a test that changes some of it.
    base::ProcessOptions options() const;

private:
    std::filesystem::path scratch_;
};

} // namespace tidemark::support
