#pragma once

#include "job/moment.h"
#include "job/restore.h"
#include "repo/open_runs.h"
#include "repo/restore_plan.h"
#include "repo/view.h"

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace tidemark::app {

// How marks, plans and reports look, as text and as JSON (docs/guide/json.md). Pure.

/// "m-12" or "m-12 before-upgrade"; "the moment 2026-11-22 14:30:00 UTC" that nobody recorded
std::string mark_title(const repo::StoredMark& mark);
/// The same with the word "mark" before it where it is one.
std::string point_title(const repo::StoredMark& mark);
std::string point_title(model::Number mark, const std::string& name, base::Time time);
/// "m-12"; null for a moment that nobody recorded.
nlohmann::json mark_id_json(model::Number mark);
nlohmann::json mark_summary(const repo::StoredMark& mark);
/// "b-12", as its member counts them
std::string backup_id(model::Number number);
nlohmann::json backup_json(const repo::StoredManifest& backup);
nlohmann::json set_json(const repo::StoredSet& set);
nlohmann::json open_run_json(const repo::OpenRun& run);
/// A transaction whose part at a member was lost in a failover (rules.md 13).
std::string mark_text(const repo::StoredMark& mark);

// What `show` prints of other stored objects.
std::string run_text(const repo::StoredRun& run);
std::string set_text(const repo::StoredSet& set);
std::string backup_text(const repo::StoredManifest& backup);

/// Per member the last commit kept and the first one dropped, and what clocks say.
std::string moment_text(const job::Moment& moment);
nlohmann::json moment_json(const job::Moment& moment);

/// Indented, with a line feed at its end. Names in a database may hold any bytes: what is no UTF-8
/// is replaced. Every JSON text that the program prints or writes comes from here.
std::string json_text(const nlohmann::json& value);

/// With the operator's word in `decided`, and where each member would go.
nlohmann::json plan_json(const repo::RestorePlan& plan, const job::RestoreOptions& options);
std::string plan_text(const repo::RestorePlan& plan, const job::RestoreOptions& options);

nlohmann::json report_json(const job::RestoreReport& report);
std::string report_text(const job::RestoreReport& report);

} // namespace tidemark::app
