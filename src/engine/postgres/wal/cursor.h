#pragma once

#include "engine/postgres/wal/layout.h"

#include "base/bytes.h"

namespace tidemark::engine::postgres::wal {

/// Reads little-endian values in order and never past the end; false means "not that much left".
class Cursor {
public:
    explicit Cursor(base::ByteView bytes) : at_(bytes.data()), left_(bytes.size()) {}

    template <typename T> bool read(T& value)
    {
        if (left_ < sizeof(T)) return false;
        value = load<T>(at_);
        return skip(sizeof(T));
    }
    bool skip(std::uint64_t count)
    {
        if (left_ < count) return false;
        at_ += count;
        left_ -= static_cast<std::size_t>(count);
        return true;
    }
    /// A u32 count, then that many items of `item` bytes.
    bool skip_items(std::uint32_t item)
    {
        std::uint32_t count = 0;
        return read(count) && skip(std::uint64_t{count} * item);
    }
    base::ByteView rest() const { return {at_, left_}; }
    std::size_t left() const { return left_; }

private:
    const std::byte* at_;
    std::size_t left_;
};

} // namespace tidemark::engine::postgres::wal
