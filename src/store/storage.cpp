#include "store/storage.h"

#include "base/error.h"

#include <algorithm>

namespace tidemark::store {

std::vector<std::string> Storage::folders(std::string_view prefix)
{
    std::vector<std::string> out;
    for (const ObjectInfo& info : list(prefix)) {
        std::string_view rest = std::string_view(info.key).substr(prefix.size());
        auto slash = rest.find('/');
        if (slash != std::string_view::npos) out.emplace_back(rest.substr(0, slash));
    }
    // Sorted by key is not sorted by name: '-' and '.' stand before '/'.
    std::ranges::sort(out);
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

Created put(Storage& storage, std::string_view key, base::ByteView bytes)
{
    auto writer = storage.create(key);
    writer->write(bytes);
    return writer->commit();
}

std::optional<base::Bytes> get(Storage& storage, std::string_view key, std::size_t limit)
{
    auto source = storage.open(key);
    if (!source) return std::nullopt;
    return base::with_context(key, [&] { return base::read_all(*source, limit); });
}

} // namespace tidemark::store
