#include "base/error.h"
#include "repo/page_map.h"

#include <fmt/format.h>

namespace tidemark::repo {

using base::Code;
using base::Error;

void FileLedger::compare(std::uint32_t index, const State& state)
{
    if (state.size == kUnknown) return;
    if (state.end > state.size || state.covered > state.size) {
        throw Error{Code::failed,
                    fmt::format("extents reach byte {} and cover {} bytes of file {}, "
                                "which has {}",
                                state.end, state.covered, index, state.size)};
    }
}

void FileLedger::declare(const model::FileEntry& entry)
{
    State& state = state_of(entry.index);
    if (state.size != kUnknown)
        throw Error{Code::failed, fmt::format("file {} is there twice", entry.index)};
    state.size = entry.size;
    compare(entry.index, state);
}

void FileLedger::cover(const Extent& extent)
{
    State& state = state_of(extent.file);
    state.end = std::max(state.end, extent.offset + extent.length);
    state.covered += extent.length;
    compare(extent.file, state);
}

void FileLedger::settle() const
{
    for (const auto& [first, states] : files_) {
        for (std::uint32_t i = 0; i < kTogether; ++i) {
            // An extent is never empty, so a file without an end has none.
            if (states[i].size == kUnknown && states[i].end > 0)
                throw Error{Code::failed,
                            fmt::format("extents of unknown file {}", first * kTogether + i)};
        }
    }
}

void check_path(std::string_view path)
{
    auto refuse = [&](const char* why) {
        throw Error{Code::failed, fmt::format("holds a path that {}", why)};
    };
    if (path.empty()) refuse("is empty");
    if (path.size() > kMaxPath) refuse("is too long");
    if (path.find('\0') != std::string_view::npos) refuse("holds a NUL byte");
    while (true) {
        std::string_view part = path.substr(0, path.find('/'));
        if (part.empty()) refuse("is absolute or has an empty part");
        if (part == "." || part == "..") refuse("has a \".\" or \"..\" part");
        if (part.size() == path.size()) return;
        path.remove_prefix(part.size() + 1);
    }
}

} // namespace tidemark::repo
