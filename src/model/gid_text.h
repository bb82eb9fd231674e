#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tidemark::model {

/// Well-formed UTF-8 as RFC 3629 has it: no surrogates, nothing overlong, nothing above U+10FFFF.
bool is_utf8(std::string_view text);

/// A gid as one word that an operator can read, copy and give back: bare where that is possible,
/// otherwise a JSON string, in which \xHH stands for a byte that is no UTF-8.
std::string gid_word(std::string_view gid);

/// Takes a gid, as gid_word() or a JSON encoder writes it, off the front of `text`; a bare one ends
/// at a blank and does not begin with '#'. Empty when there is none or it is not well-formed.
std::optional<std::string> take_gid_word(std::string_view& text);

} // namespace tidemark::model
