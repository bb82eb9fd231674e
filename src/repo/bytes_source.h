#pragma once

#include "base/io.h"

#include <algorithm>
#include <cstring>

namespace tidemark::repo {

/// Reads bytes that somebody else keeps: for parsers of streams.
class BytesSource final : public base::ByteSource {
public:
    explicit BytesSource(base::ByteView bytes) : bytes_(bytes) {}
    std::size_t read(base::ByteSpan into) override
    {
        std::size_t count = std::min(into.size(), bytes_.size());
        if (count > 0) std::memcpy(into.data(), bytes_.data(), count);
        bytes_ = bytes_.subspan(count);
        return count;
    }

private:
    base::ByteView bytes_;
};

} // namespace tidemark::repo
