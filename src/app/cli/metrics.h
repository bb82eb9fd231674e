#pragma once

#include "job/status.h"

#include <filesystem>
#include <string>

namespace tidemark::app {

/// A group's status in Prometheus' text format (exposition format 0.0.4). Pure.
std::string render_metrics(const job::GroupStatus& status);

/// For the node exporter's textfile collector: the file appears whole, never half written.
void write_metrics(const std::filesystem::path& file, const job::GroupStatus& status);

} // namespace tidemark::app
