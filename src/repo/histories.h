#pragma once

#include "base/bytes.h"
#include "model/ids.h"
#include "model/log_position.h"
#include "store/storage.h"

#include <optional>
#include <string>
#include <vector>

namespace tidemark::repo {

/// Stores a timeline history file. Another text under the same epoch is Error{identity_mismatch}:
/// two servers went different ways under one number (rules.md 13).
void store_history(store::Storage& storage, const model::MemberId& id, model::Epoch epoch,
                   const std::string& text);
/// The same comparison without storing: false when none is stored under the epoch.
bool holds_history(store::Storage& storage, const model::MemberId& id, model::Epoch epoch,
                   const std::string& text);
/// The text as the server had it (with a line feed at its end); Error{failed} when it is damaged.
std::optional<std::string> load_history_text(store::Storage& storage, const model::MemberId& id,
                                             model::Epoch epoch);
/// The history of an epoch; epoch 1 needs no file. Error{log_gap} when the file is not stored.
model::History load_history(store::Storage& storage, const model::MemberId& id, model::Epoch epoch);

/// How a history came to `epoch`: two servers may have gone different ways to one number.
std::vector<model::History::Step> way_to(const model::History& history, model::Epoch epoch);

/// The number that claim_epoch would take now, without taking it: for a copy that nobody will ever
/// back up.
model::Epoch free_epoch(store::Storage& storage, const model::MemberId& id, model::Epoch at_least);

/// Claims the number of a timeline to be, before a promotion (rules.md 24): the lowest one from
/// `at_least` on that no stored log, history file or earlier claim uses. `who` is recorded.
model::Epoch claim_epoch(store::Storage& storage, const model::MemberId& id, model::Epoch at_least,
                         const std::string& who);

/// Who made a claim; Error{failed} when it is damaged.
std::string decode_claim(base::ByteView bytes, const std::string& key);

/// Is there one whose bytes are not those that were written?
bool history_is_damaged(store::Storage& storage, const model::MemberId& id, model::Epoch epoch);
/// Puts `text` in the place of another one that nothing in the repository belongs to. A crash
/// between leaves none, and the next store_history() makes it. Under the lease "log".
void replace_history(store::Storage& storage, const model::MemberId& id, model::Epoch epoch,
                     const std::string& text);
/// The same with a damaged one, which tells nobody anything any more.
void replace_damaged_history(store::Storage& storage, const model::MemberId& id, model::Epoch epoch,
                             const std::string& text);

} // namespace tidemark::repo
