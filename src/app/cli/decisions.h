#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace tidemark::app {

/// By member and gid: commit (true) or rollback.
using Decisions = std::map<std::pair<std::string, std::string>, bool>;

/// An operator's decisions file: lines "MEMBER GID commit|rollback", '#' begins a comment. A gid
/// with blanks, '#' or quotes is a JSON string, in which \xHH is a byte (model/gid_text.h). All
/// mistakes at once as Error{usage}, one line each: "FILE:LINE: ...".
/// `places`, when given, says where each stands: "FILE:LINE".
using DecisionLines = std::map<std::pair<std::string, std::string>, std::string>;
Decisions parse_decisions(std::string_view text, const std::string& file,
                          DecisionLines* places = nullptr);

} // namespace tidemark::app
