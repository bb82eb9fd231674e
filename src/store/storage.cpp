#include "store/storage.h"

#include "base/error.h"

namespace tidemark::store {

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
