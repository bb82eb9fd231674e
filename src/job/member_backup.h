#pragma once

#include "job/context.h"
#include "repo/backups.h"

namespace tidemark::job {

/// One member's full base backup, from its start on the server to the durable manifest. Takes the
/// lease backup/MEMBER.
repo::StoredManifest back_up_member(const Context& context, const model::MemberSpec& member,
                                    engine::Session& session, std::stop_token stop);

} // namespace tidemark::job
