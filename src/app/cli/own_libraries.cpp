#include "app/cli/own_libraries.h"

#include "base/error.h"
#include "base/subprocess.h"

#include <algorithm>
#include <chrono>
#include <dlfcn.h>
#include <filesystem>
#include <link.h>
#include <memory>
#include <sstream>
#include <string_view>
#include <utility>

namespace tidemark::app {

namespace {

using namespace std::chrono_literals;

/// Every Debian system with PostgreSQL's client has these.
bool is_everywhere(std::string_view name)
{
    for (std::string_view one : {"libc.so.", "libm.so.", "libgcc_s.so.", "libstdc++.so.",
                                 "ld-linux", "libpq.so.", "libssl.so.", "libcrypto.so."})
        if (name.starts_with(one)) return true;
    return false;
}

/// The names in the program's own list (DT_NEEDED, elf(5)); not what those need in turn.
std::vector<std::string> needed_by(const link_map& program)
{
    const char* names = nullptr;
    for (const auto* entry = program.l_ld; entry->d_tag != DT_NULL; ++entry)
        if (entry->d_tag == DT_STRTAB) {
            // glibc has made an address of the offset on most processors, not on all.
            auto at = entry->d_un.d_ptr;
            names = reinterpret_cast<const char*>( // NOLINT(performance-no-int-to-ptr): elf(5)
                at < program.l_addr ? program.l_addr + at : at);
        }
    std::vector<std::string> out;
    for (const auto* entry = program.l_ld; names && entry->d_tag != DT_NULL; ++entry)
        if (entry->d_tag == DT_NEEDED && !is_everywhere(names + entry->d_un.d_val))
            out.emplace_back(names + entry->d_un.d_val);
    return out;
}

/// The names that dpkg may know it by: where /usr is merged, /lib is a link, and packages of both
/// spellings are about.
std::vector<std::string> paths_of(const link_map& first, const std::string& name)
{
    for (const auto* at = &first; at != nullptr; at = at->l_next) {
        std::filesystem::path path(at->l_name);
        if (path.filename() != name) continue;
        std::vector<std::string> out{path.string()};
        std::error_code error;
        auto real = std::filesystem::canonical(path.parent_path(), error) / name;
        if (!error && real != path) out.push_back(real.string());
        if (real.native().starts_with("/usr/lib")) out.push_back(real.native().substr(4));
        return out;
    }
    return {};
}

} // namespace

std::vector<std::string> packages_of(const std::string& dpkg_answer)
{
    std::vector<std::string> out;
    std::istringstream lines(dpkg_answer);
    for (std::string line; std::getline(lines, line);) {
        auto end = line.find(": /");
        if (end == std::string::npos) continue;
        auto name = line.substr(0, std::min(end, line.find(':')));
        bool plain = !name.empty() && name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789"
                                                             "+-.") == std::string::npos;
        if (plain) out.push_back(name);
    }
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

OwnLibraries own_libraries()
{
    OwnLibraries out;
    std::unique_ptr<void, int (*)(void*)> self{::dlopen(nullptr, RTLD_LAZY), ::dlclose};
    link_map* program = nullptr;
    if (!self || ::dlinfo(self.get(), RTLD_DI_LINKMAP, static_cast<void*>(&program)) != 0)
        return out;
    out.names = needed_by(*program);
    if (out.names.empty()) return out;
    std::vector<std::string> query{"dpkg-query", "--search"};
    for (const auto& name : out.names)
        for (auto& path : paths_of(*program, name))
            query.push_back(std::move(path));
    try {
        // It fails for the spellings that it does not know.
        auto answer = base::run(query, {.deadline = 5s}).out;
        // Half a list would be believed.
        bool all = std::all_of(out.names.begin(), out.names.end(), [&](const auto& name) {
            return answer.find("/" + name + "\n") != std::string::npos;
        });
        if (all) out.packages = packages_of(answer);
    } catch (const base::Error&) {
        // No dpkg here.
    }
    return out;
}

} // namespace tidemark::app
