#pragma once

#include "base/bytes.h"

#include <cstddef>
#include <memory>
#include <new>

namespace tidemark::base {

/// What O_DIRECT asks of memory, file offsets and lengths: the largest any common file system does.
inline constexpr std::size_t kDirectAlignment = 4096;

/// A buffer that starts on a page boundary. It only grows; growing loses what it held.
class AlignedBuffer {
public:
    std::size_t size() const { return size_; }
    /// At least `size` bytes, all of them unspecified when it had to grow.
    void reserve(std::size_t size)
    {
        if (size <= size_) return;
        bytes_.reset();
        size_ = 0;
        bytes_.reset(static_cast<std::byte*>(::operator new(size, kAlign)));
        size_ = size;
    }
    ByteSpan first(std::size_t count) { return {bytes_.get(), count}; }

private:
    static constexpr std::align_val_t kAlign{kDirectAlignment};
    struct Free {
        void operator()(std::byte* bytes) const { ::operator delete(bytes, kAlign); }
    };
    std::unique_ptr<std::byte, Free> bytes_;
    std::size_t size_ = 0;
};

} // namespace tidemark::base
