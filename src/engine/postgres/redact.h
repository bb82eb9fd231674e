#pragma once

#include <string>
#include <string_view>

namespace tidemark::engine::postgres {

/// The connection string (URI or key=value form) with every secret replaced by "***". Rather
/// hides too much than too little when the string is malformed. Everything that prints a
/// member's url goes through here.
std::string redact_url(std::string_view url);

/// libpq's keywords whose value nobody shall see: "password", "sslpassword" and the like.
bool is_secret_key(std::string_view key);

/// A reason why `url` cannot mean what its writer wanted (an '@', '/' or ':' of a password that
/// is not percent-encoded); empty when there is none. Never holds a part of the secret.
std::string url_defect(std::string_view url);

/// `text` with every occurrence of `secret` replaced by "***"; secrets below 4 characters are
/// left alone, they would only garble the text.
std::string scrub(std::string text, std::string_view secret);

} // namespace tidemark::engine::postgres
