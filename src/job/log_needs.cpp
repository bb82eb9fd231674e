#include "job/log_needs.h"

#include "base/error.h"
#include "base/log.h"
#include "repo/log_reader.h"

namespace tidemark::job {

std::set<std::string> extension_managers(store::Storage& storage, const model::MemberId& id,
                                         const repo::MemberPlan& plan)
{
    repo::LogCatalog named;
    named.id = id;
    repo::LogReader reader(storage, named);
    std::set<std::string> managers;
    for (const auto& piece : plan.pieces) {
        try {
            for (const auto& notice : reader.index(piece.piece, {}).notices) {
                if (notice.kind == model::LogNoticeKind::custom_resource_manager)
                    managers.insert(notice.detail);
            }
        } catch (const base::Error& error) {
            if (error.code() != base::Code::failed) throw;
            base::log_debug("{}", error.what());
        }
    }
    return managers;
}

} // namespace tidemark::job
