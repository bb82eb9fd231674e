#pragma once

#include "model/evaluate.h"
#include "model/open_transactions.h"
#include "repo/json.h"

// How marks write branches, verdicts and the open-transaction table. For codecs only.
namespace tidemark::repo {

JsonBuilder to_json(const model::Branch& branch);
model::Branch branch(const JsonObject& from);

JsonBuilder to_json(const model::UnknownFinish& finish);
model::UnknownFinish unknown_finish(const JsonObject& from);

JsonBuilder to_json(const model::ClockReading& clock);
model::ClockReading clock_reading(const JsonObject& from);

JsonBuilder to_json(const model::Evaluation& evaluation);
model::Evaluation evaluation(const JsonObject& from);

JsonBuilder to_json(const model::OpenTransactions& table);
model::OpenTransactions open_transactions(const JsonObject& from);

} // namespace tidemark::repo
