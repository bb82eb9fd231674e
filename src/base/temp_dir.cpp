#include "base/temp_dir.h"

#include "base/error.h"

#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>
#include <utility>

namespace tidemark::base {

TempDir::TempDir(std::string_view prefix, const std::filesystem::path& parent)
{
    auto folder = parent.empty() ? std::filesystem::temp_directory_path() : parent;
    std::string name = (folder / prefix).native() + "-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) {
        int code = errno;
        throw system_error("cannot create a temporary folder " + name, code);
    }
    path_ = name;
}

TempDir::~TempDir()
{
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

std::filesystem::path TempDir::keep()
{
    return std::exchange(path_, {});
}

} // namespace tidemark::base
