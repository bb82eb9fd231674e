#pragma once

#include "model/member_identity.h"

namespace tidemark::model {

/// The reason of the generation that add-member writes.
inline constexpr std::string_view kMemberJoined = "joined";

/// Who joins belongs to the group with the first mark that holds it: an add-member that was killed
/// before the configuration named it stops nobody.
inline bool belongs_with_first_mark(const MemberIdentity& recorded)
{
    return recorded.reason == kMemberJoined;
}

} // namespace tidemark::model
