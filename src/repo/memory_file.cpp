#include "repo/memory_file.h"

#include "base/bytes.h"
#include "stream/checksum.h"

#include <fmt/format.h>

namespace tidemark::repo {

std::filesystem::path memory_file(const std::filesystem::path& folder, std::string_view what,
                                  const std::string& repository, const std::string& group)
{
    auto digest = stream::sha256(base::as_bytes(repository + '\n' + group));
    return folder / fmt::format("{}-{}.json", what, base::to_hex(digest).substr(0, 32));
}

} // namespace tidemark::repo
