#include "base/check.h"
#include "base/error.h"
#include "repo/layout.h"
#include "repo/marks.h"
#include "repo/repository.h"
#include "store/key.h"
#include "store/memory.h"

#include <string>

using namespace tidemark;

namespace {

/// Names of objects, as a store lists them: what is understood is exactly what we would write.
void fuzz_key(const std::string& text)
{
    if (auto key = repo::parse_key(text)) CHECK(repo::format_key(*key) == text);
}

void fuzz_selector(const std::string& text)
{
    auto selector = repo::parse_mark_selector(text);
    if (selector.kind == repo::MarkSelector::Kind::number)
        CHECK(selector.number <= model::kMaxNumber);
}

/// tidemark.json of a repository that somebody else made.
void fuzz_head(const std::string& text)
{
    store::MemoryStorage storage;
    store::put(storage, repo::kHeadKey, base::as_bytes(text));
    try {
        repo::Repository::open(storage);
    } catch (const base::Error&) {
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size < 1) return 0;
    std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
    switch (data[0] % 3) {
    case 0:
        fuzz_key(text);
        break;
    case 1:
        fuzz_selector(text);
        break;
    default:
        fuzz_head(text);
    }
    return 0;
}
