#pragma once

#include "model/drill.h"
#include "repo/drills.h"

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace tidemark::app {

// How a drill looks: as text, as JSON (docs/guide/json.md) and as one page that needs nothing
// else. Pure, but for the last one.

nlohmann::json drill_json(const model::Drill& drill, std::optional<model::Number> number);
std::string drill_text(const model::Drill& drill, std::optional<model::Number> number);
/// Self-contained HTML with the stages as a picture; no scripts, nothing is loaded.
std::string drill_html(const model::Drill& drill, std::optional<model::Number> number);
/// The stages over time, a row for each member.
std::string stage_picture(const model::Drill& drill);

/// "PASSED and proven", "FAILED", ...
std::string drill_verdict(const model::Drill& drill);
/// Why it did not pass, in one line: "mark m-12: assertion money at orders: returned f, not true".
std::string drill_failure(const model::Drill& drill);
/// ", as production was: with 2 transactions half there"; empty without any.
std::string half_there_text(const std::vector<std::string>& half_there);
/// "2 d ago (drill-3, 11 min)"
std::string proof_text(const model::Proof& proof, base::Time now);
nlohmann::json proof_json(const model::Proof& proof);

/// By the file's name: .html, .json, anything else is text.
void write_drill_report(const std::filesystem::path& file, const model::Drill& drill,
                        std::optional<model::Number> number);

} // namespace tidemark::app
