#pragma once

#include <filesystem>
#include <string>

namespace tidemark::engine::postgres {

/// `text` as one word of a POSIX shell; as it is where no shell would change it.
std::string shell_word(const std::string& text);

/// pg_ctl puts paths between double quotes on a shell's command line (start_postmaster in
/// pg_ctl.c), so that it would run what some of them spell. It has to be called from within such a
/// folder, with "." for it.
bool pg_ctl_misreads(const std::filesystem::path& data_dir);

/// What a person pastes into a shell to start a server that was handed over; `user` is whom it runs
/// as when that is not us.
std::string start_command(const std::filesystem::path& bin_dir,
                          const std::filesystem::path& data_dir, const std::string& user);

} // namespace tidemark::engine::postgres
