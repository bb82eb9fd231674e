// How verdicts are called in JSON, texts and stored marks.

#include "model/evaluate.h"

namespace tidemark::model {

std::string_view decision_name(Decision decision)
{
    switch (decision) {
    case Decision::commit:
        return "commit";
    case Decision::rollback:
        return "rollback";
    case Decision::unknown:
        break;
    }
    return "unknown";
}

std::string_view reason_name(Reason reason)
{
    switch (reason) {
    case Reason::committed:
        return "committed";
    case Reason::not_committed:
        return "not_committed";
    case Reason::seeded:
        return "seeded";
    case Reason::ambiguous_id:
        return "ambiguous_id";
    case Reason::commit_of_unknown:
        return "commit_of_unknown";
    case Reason::unmatched_gid:
        return "unmatched_gid";
    case Reason::one_phase:
        return "one_phase";
    case Reason::commit_abandoned:
        return "commit_abandoned";
    case Reason::log_incomplete:
        break;
    }
    return "log_incomplete";
}

std::string_view state_name(StateAt state)
{
    switch (state) {
    case StateAt::in_doubt:
        return "in_doubt";
    case StateAt::committed:
        return "committed";
    case StateAt::rolled_back:
        return "rolled_back";
    case StateAt::finished_unseen:
        return "finished_unseen";
    case StateAt::lost:
        return "lost";
    case StateAt::absent:
        break;
    }
    return "absent";
}

} // namespace tidemark::model
