#pragma once

#include "repo/view.h"
#include "store/storage.h"

#include <string>
#include <vector>

namespace tidemark::repo {

/// A mark that was placed and that the view cannot hold.
struct LostMark {
    model::Number number = 0;
    std::string key;
    std::string why; ///< "damaged: it is no JSON", "is missing"
};

/// Numbers between the two, without them.
struct MarkSpan {
    model::Number after = 0;
    model::Number before = 0; ///< 0: no end
};

/// Marks whose object cannot be read, or is gone although a set names it or a newer one is there;
/// ascending. What retention removed is not lost.
std::vector<LostMark> lost_marks(store::Storage& storage, const RepositoryView& view,
                                 const MarkSpan& span);

} // namespace tidemark::repo
