#pragma once

#include "job/status.h"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace tidemark::app {

/// How the run that writes the metrics ended. The repository need not know of it.
struct LastRun {
    int exit = 0;
    base::Time ended;
};

/// A group's status in Prometheus' text format (exposition format 0.0.4). Without `run` the
/// newest that the repository or this host knows of. Pure.
std::string render_metrics(const job::GroupStatus& status,
                           const std::optional<LastRun>& run = std::nullopt);

/// The same while the repository cannot be read. `before`: what the file holds by now; the time of
/// the newest mark is taken over from it, so that whoever watches its age goes on. Pure.
std::string render_outage(const std::string& group, const LastRun& run, std::string_view before);

/// For the node exporter's textfile collector: the file appears whole, never half written.
void write_metrics(const std::filesystem::path& file, const std::string& text);

} // namespace tidemark::app
