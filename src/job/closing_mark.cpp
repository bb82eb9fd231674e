#include "job/closing_mark.h"

#include "base/error.h"

#include <fmt/format.h>

namespace tidemark::job {

bool holds_backup(const model::MemberCut& member, const model::History& history,
                  const model::LogPosition& stop)
{
    if (!history.contains(stop)) {
        throw base::Error{
            base::Code::mark_not_placed,
            fmt::format("the base backup of {} ends at {}, on a branch of its log that was "
                        "abandoned since: the server was failed over or restored, and no mark of "
                        "timeline {} can hold that backup",
                        member.name, model::format_position(stop), history.current()),
            {.hint = "tidemark backup takes a new one; older backups and marks are as they were"}};
    }
    return history.order(member.cut, stop) >= 0;
}

} // namespace tidemark::job
