#pragma once

#include "base/fd.h"
#include "repo/json.h"

#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <string>
#include <string_view>

namespace tidemark::repo {

/// What two versions of the program must agree on: all lines but who wrote it, and so the check.
inline std::string without_writer(std::string_view text)
{
    std::string out;
    while (!text.empty()) {
        auto line = text.substr(0, std::min(text.find('\n'), text.size() - 1) + 1);
        text.remove_prefix(line.size());
        if (!line.starts_with(" \"written_by\"") && !line.starts_with(" \"check\"")) out += line;
    }
    return out;
}

/// The object as format 1 wrote it first, kept for ever; today's writer must still write the same.
/// TIDEMARK_WRITE_GOLDEN=1 writes files that are missing.
inline base::Bytes golden_json(const std::string& name, const base::Bytes& today)
{
    std::string path = TIDEMARK_SOURCE_DIR "/tests/golden/1.0/" + name + ".json";
    if (!std::filesystem::exists(path) && std::getenv("TIDEMARK_WRITE_GOLDEN") != nullptr)
        base::replace_file(path, today, 0644);
    auto bytes = base::read_file(path, kMaxJsonBytes);
    EXPECT_EQ(without_writer(base::as_text(bytes)), without_writer(base::as_text(today))) << name;
    return bytes;
}

} // namespace tidemark::repo
