#include "base/io.h"

#include "base/error.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::base {

bool read_exactly(ByteSource& source, ByteSpan into)
{
    std::size_t done = 0;
    while (done < into.size()) {
        std::size_t got = source.read(into.subspan(done));
        if (got == 0) {
            if (done == 0) return false;
            throw Error{Code::failed, fmt::format("ended after {} of {} bytes", done, into.size())};
        }
        done += got;
    }
    return true;
}

Bytes read_all(ByteSource& source, std::size_t limit)
{
    Bytes out;
    std::size_t filled = 0;
    while (true) {
        if (out.size() - filled < 4096) {
            out.resize(std::min(limit + 1, std::max<std::size_t>(65536, out.size() * 2)));
        }
        std::size_t got = source.read(ByteSpan(out).subspan(filled));
        filled += got;
        if (filled > limit) {
            throw Error{Code::failed, fmt::format("is larger than {} bytes", limit)};
        }
        if (got == 0) break;
    }
    out.resize(filled);
    return out;
}

} // namespace tidemark::base
