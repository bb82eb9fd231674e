#pragma once

#include "base/clock.h"
#include "base/random.h"
#include "model/ids.h"
#include "store/storage.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tidemark::repo {

/// What tidemark.json says.
struct RepositoryHead {
    std::string id; ///< 32 hex digits, random: tells one repository from its copies' namesakes
    std::uint64_t format = 1;
    std::string cipher = "none";
    base::Time created;
    std::string store_kind;           ///< "directory"
    bool create_is_exclusive = false; ///< probed by effect: a second create of one name loses
    friend bool operator==(const RepositoryHead&, const RepositoryHead&) = default;
};

/// An opened repository: where it lives, and the proof that it is one this program can read.
class Repository {
public:
    /// Writes tidemark.json into an empty place. An existing repository is Error{usage}; a store
    /// that overwrites where it must not is refused (rules.md 30).
    static Repository create(store::Storage& storage, base::Random& random);
    /// Errors: usage when there is none (hint: tidemark init), repository_newer, failed.
    static Repository open(store::Storage& storage);
    static bool exists(store::Storage& storage);

    store::Storage& storage() const { return *storage_; }
    const RepositoryHead& head() const { return head_; }
    /// Names, sorted.
    std::vector<std::string> groups() const;
    std::vector<std::string> members(const std::string& group) const;

private:
    Repository(store::Storage& storage, RepositoryHead head);
    store::Storage* storage_;
    RepositoryHead head_;
};

} // namespace tidemark::repo
