#include "repo/run_memory.h"

#include "base/fd.h"
#include "repo/codec_parts.h"
#include "repo/memory_file.h"

namespace tidemark::repo {

namespace {

constexpr DocumentKind kFailedRunDocument{"failed_run", 1};
constexpr std::size_t kMaxRunFile = 1U << 20;

} // namespace

RunMemory::RunMemory(const std::filesystem::path& folder, const std::string& repository,
                     const std::string& group)
    : path_(memory_file(folder, "failed-run", repository, group))
{
}

std::optional<model::Run> RunMemory::failed() const
{
    if (!std::filesystem::exists(path_)) return std::nullopt;
    auto document = JsonDocument::parse(base::read_file(path_, kMaxRunFile), path_.string());
    return get_run(document.expect(kFailedRunDocument));
}

void RunMemory::remember(const model::Run& run) const
{
    JsonBuilder out{kFailedRunDocument};
    put_run(out, run);
    std::filesystem::create_directories(path_.parent_path());
    base::replace_file(path_, out.bytes());
}

void RunMemory::forget() const
{
    std::filesystem::remove(path_);
}

} // namespace tidemark::repo
