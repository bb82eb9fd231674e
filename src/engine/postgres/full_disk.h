#pragma once

#include "base/error.h"
#include "engine/restore_target.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

/// A server whose disk is full says so, or something else, or nothing: its log lies there, too.
namespace tidemark::engine::postgres {

/// Which of the folders lies on a disk without room for `needed` bytes or for one more file, and
/// what is left there; nothing when all have it, or cannot be looked at.
std::optional<std::string> full_disk(const std::vector<std::filesystem::path>& places,
                                     std::uint64_t needed);

/// The same error as Error{out_of_space}, when the server's words say so, or when they name no
/// other reason and one of the disks is full; nothing when it stands as it is.
std::optional<base::Error> out_of_space_instead(const base::Error& error,
                                                const std::vector<std::filesystem::path>& places,
                                                std::uint64_t needed);

/// `target`, whose errors are judged so by the disks of its data directory and its work folder.
std::unique_ptr<RestoreTarget> mind_full_disks(std::unique_ptr<RestoreTarget> target,
                                               const TargetConfig& config);

} // namespace tidemark::engine::postgres
