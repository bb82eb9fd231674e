#pragma once

#include "model/member_identity.h"
#include "repo/lease.h"
#include "repo/sequence.h"
#include "store/storage.h"

#include <optional>
#include <vector>

namespace tidemark::repo {

using StoredIdentity = Stored<model::MemberIdentity>;

base::Bytes encode_identity(const model::MemberIdentity& identity, const CommitHeader& header);
StoredIdentity decode_identity(base::ByteView bytes, const model::ObjectRef& object);

/// The generations of a member's identity; the newest wins.
class Identities {
public:
    Identities(store::Storage& storage, const model::MemberId& id);

    std::optional<StoredIdentity> load(model::Number number) const;
    std::optional<StoredIdentity> latest() const;
    /// Newest first.
    std::vector<StoredIdentity> list() const;
    /// `lease` may be null (init, before any lease).
    StoredIdentity append(const Lease* lease, const model::MemberIdentity& identity) const;

private:
    model::MemberId id_;
    Sequence sequence_;
};

/// Error{identity_mismatch} when `live` is another database than `recorded`: system identifier,
/// segment size or page size differ.
void check_identity(const model::MemberIdentity& recorded, const model::Identity& live);

} // namespace tidemark::repo
