#pragma once

#include <string>
#include <string_view>

namespace tidemark::app {

/// What no connection or repository could be opened with, so that a configuration is refused for it
/// at once: what is to be said behind its name; empty when the url may do. No secret of it is
/// repeated.
std::string member_url_problem(std::string_view url);
std::string repository_url_problem(std::string_view url);

} // namespace tidemark::app
