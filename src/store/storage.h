#pragma once

#include "base/clock.h"
#include "base/io.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidemark::store {

/// Part of an object; `length` may reach beyond its end, then less is read.
struct Range {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
};

struct ObjectInfo {
    std::string key;
    std::uint64_t size = 0;
    base::Time modified; ///< by the store's own clock
};

/// What a store is and can do. Of this only `kind` is recorded, in tidemark.json at init.
struct Traits {
    std::string kind;                        ///< "directory", "memory"
    std::string where;                       ///< for people: the path or URL
    std::optional<std::uint64_t> free_bytes; ///< absent where the store cannot tell
    std::optional<std::uint64_t> device;     ///< st_dev of a directory, else absent
    bool reads_back = false; ///< every object is read again and compared before it counts
};

enum class Created { yes, already_there };

/// An object being written. Invisible until commit(), immutable afterwards; the destructor abandons
/// it.
class ObjectWriter {
public:
    virtual ~ObjectWriter() = default;
    virtual void write(base::ByteView bytes) = 0;
    /// Makes the object durable and visible if no object of this name exists (rules.md 30).
    /// `already_there` leaves the other one untouched. Call at most once, nothing after it.
    virtual Created commit() = 0;
    /// How many of the bytes given to write() are on the store's disks by now, as far as it can
    /// tell before commit(): for showing progress. Called by the thread that writes.
    virtual std::uint64_t durable() const = 0;
};

/// Where objects live. Every create is conditional: an object is never overwritten. Keys are
/// '/'-separated names of [A-Za-z0-9._=+@-] that neither start nor end with '/', hold no empty, "."
/// or ".." part; others are Error{usage}. Errors: repository_unreachable, out_of_space. All members
/// may be called from several threads.
class Storage {
public:
    virtual ~Storage() = default;
    virtual Traits traits() = 0;
    virtual std::unique_ptr<ObjectWriter> create(std::string_view key) = 0;
    /// nullptr when there is no such object.
    virtual std::unique_ptr<base::ByteSource> open(std::string_view key,
                                                   std::optional<Range> range = {}) = 0;
    virtual std::optional<ObjectInfo> stat(std::string_view key) = 0;
    /// All objects whose key starts with `prefix`, sorted by key. Unfinished objects are not
    /// listed.
    virtual std::vector<ObjectInfo> list(std::string_view prefix) = 0;
    /// The names that stand between `prefix`, which is empty or ends in '/', and the next '/' in
    /// the keys of list(prefix), ascending. Here by listing all of them.
    virtual std::vector<std::string> folders(std::string_view prefix);
    /// False when there was none. Durable when it returns.
    virtual bool remove(std::string_view key) = 0;
    /// The store's clock, by which leases expire.
    virtual base::Time now() = 0;
};

/// Writes and commits a small object in one call.
Created put(Storage& storage, std::string_view key, base::ByteView bytes);
/// The whole object, at most `limit` bytes (more is an Error); empty when absent.
std::optional<base::Bytes> get(Storage& storage, std::string_view key, std::size_t limit);

} // namespace tidemark::store
