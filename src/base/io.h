#pragma once

#include "base/bytes.h"

namespace tidemark::base {

/// Bytes that can be pulled. Errors: base::Error.
class ByteSource {
public:
    virtual ~ByteSource() = default;
    /// Fills at most `into.size()` bytes; 0 means the end.
    virtual std::size_t read(ByteSpan into) = 0;
};

/// Bytes that can be pushed. What can fail at the end fails in finish(); the destructor only
/// abandons.
class ByteSink {
public:
    virtual ~ByteSink() = default;
    virtual void write(ByteView bytes) = 0;
    virtual void finish() = 0;
};

/// Fills `into` completely; false when the source ends before its first byte; an end inside is an
/// Error.
bool read_exactly(ByteSource& source, ByteSpan into);
/// Everything up to the end; more than `limit` bytes is an Error (hostile objects).
Bytes read_all(ByteSource& source, std::size_t limit);

} // namespace tidemark::base
