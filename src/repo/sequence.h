#pragma once

#include "base/bytes.h"
#include "model/ids.h"
#include "model/object_ref.h"
#include "repo/json.h"
#include "store/storage.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidemark::repo {

class Lease;

/// Objects that could not be read, with the reason: key -> message.
using Unreadable = std::map<std::string, std::string>;

/// Under which lease an object was written.
struct LeaseStamp {
    std::string activity;
    model::Number number = 0;
    friend bool operator==(const LeaseStamp&, const LeaseStamp&) = default;
};

/// What every commit object says about itself (rules.md 32).
struct CommitHeader {
    model::Number number = 0;
    std::optional<LeaseStamp> lease;
    std::optional<model::ObjectRef> predecessor; ///< absent on number 1 only
    std::string nonce; ///< random: tells two writers' objects apart whatever they say
    friend bool operator==(const CommitHeader&, const CommitHeader&) = default;
};

void write_header(JsonBuilder& into, const CommitHeader& header);
CommitHeader read_header(const JsonObject& from);

/// A commit object as it lies in the repository.
template <typename T> struct Stored {
    CommitHeader header;
    model::ObjectRef object; ///< the commit object itself
    T value;
    model::Number number() const { return header.number; }
    friend bool operator==(const Stored&, const Stored&) = default;
};

/// A numbered chain of commit objects below one prefix. Numbers start at 1 and have no holes; each
/// object is created only if its name is free, and names the one before it with its hash.
/// Safe for several threads; holds nothing but names.
class Sequence {
public:
    /// `prefix` ends in '/'; `suffix` follows the ten digits ("" or "/manifest").
    Sequence(store::Storage& storage, std::string prefix, std::string suffix = "");

    std::string key(model::Number number) const;
    /// Ascending.
    std::vector<model::Number> numbers() const;
    std::optional<model::Number> newest() const;
    struct Found {
        model::ObjectRef object;
        base::Bytes bytes;
    };
    std::optional<Found> read(model::Number number) const;

    /// Encodes the object for the number and predecessor it is given. May be called again.
    using Encode = std::function<base::Bytes(const CommitHeader&)>;
    struct Committed {
        CommitHeader header;
        model::ObjectRef object;
    };
    /// Commits the next object. When another writer took the number first, it tries the next one,
    /// unless that writer works on the same activity under a newer lease: then, as whenever `lease`
    /// is lost, nothing is written and Error{lease_held} comes out. `lease` may be null only for
    /// sequences that no activity guards (runs, identities).
    Committed append(const Lease* lease, const Encode& encode) const;

private:
    Found need(model::Number number) const;
    void refuse_stale(const CommitHeader& ours, const Found& theirs) const;

    store::Storage& storage_;
    std::string prefix_;
    std::string suffix_;
};

} // namespace tidemark::repo
