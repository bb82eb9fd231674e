#pragma once

#include "engine/content_check.h"
#include "engine/postgres/control_file.h"

#include <filesystem>
#include <stop_token>

namespace tidemark::engine::postgres {

/// Reads every file with page checksums of a data directory and its tablespaces, on `workers`
/// threads, and judges every page. No server may run there: then a wrong checksum is damage and
/// nothing else. Errors: failed (a file cannot be read), cancelled.
PageCheck check_all_pages(const std::filesystem::path& data_dir, int major,
                          const ControlFile& control, unsigned workers, std::stop_token stop);

} // namespace tidemark::engine::postgres
