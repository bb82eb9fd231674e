#pragma once

#include "job/in_doubt.h"
#include "job/restore.h"
#include "model/mark.h"

#include <map>
#include <string>
#include <vector>

/// The operator's words (RestoreOptions::decisions) before they are acted on: one distributed
/// transaction has one verdict at all its members, in every run, and evidence is not overruled.
namespace tidemark::job {

/// What earlier runs of the same restore did, by member.
using EarlierDecisions = std::map<std::string, std::vector<Decision>>;

/// Error{usage} with a line for each word that names nothing in doubt at the mark (what is prepared
/// after recovery is exactly that, or the restore ends), that contradicts its evidence, or that
/// contradicts another word or an earlier run about the same transaction.
void check_words(const model::Mark& mark, const RestoreOptions& options,
                 const EarlierDecisions& earlier = {});

/// The same against what the decision tables have told, which is known late.
void check_words(const RestoreOptions& options, const TableVerdicts& tables);

} // namespace tidemark::job
