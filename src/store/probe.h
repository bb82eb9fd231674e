#pragma once

#include "base/random.h"
#include "store/storage.h"

namespace tidemark::store {

/// Proves by effect that the store keeps its promises: an object can be created durably, exactly
/// one of several racing writers wins, nobody overwrites, lists are complete, removal works. Leaves
/// nothing behind. A store that fails is not fit for a repository; the Error says which promise it
/// broke.
void probe(Storage& storage, base::Random& random);

} // namespace tidemark::store
