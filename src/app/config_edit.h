#pragma once

#include "model/group.h"

#include <filesystem>
#include <string>
#include <string_view>

namespace tidemark::app {

/// A configuration file's text before and after a change that leaves everything else, comments
/// too, as it was.
struct ConfigEdit {
    std::string before;
    std::string after;
    std::string lines; ///< what was put in or taken out
};

/// One more [[group.G.member]], behind the last one. Error{usage} when the file is written in a way
/// that cannot be changed safely; its hint holds what to put in by hand.
ConfigEdit with_member(std::string_view text, const std::string& group,
                       const model::MemberSpec& member);

/// One [[group.G.member]] less, with the comment lines that stand directly above it. The last
/// member takes the whole [group.G] with it. Error{usage} as above.
ConfigEdit without_member(std::string_view text, const std::string& group,
                          const std::string& member);

/// Without [group.G] and everything below it.
ConfigEdit without_group(std::string_view text, const std::string& group);

/// Puts `edit.after` where `edit.before` still is; keeps the file's mode, and follows links.
/// Error{usage} when somebody else has changed the file meanwhile.
void write_edit(const std::filesystem::path& path, const ConfigEdit& edit);

/// For work that is followed by write_edit(): Error{usage} when that could not write here.
void require_editable(const std::filesystem::path& path);

std::string read_config_text(const std::filesystem::path& path);

} // namespace tidemark::app
