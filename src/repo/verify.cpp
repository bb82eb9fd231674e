#include "repo/verify.h"

#include "base/error.h"
#include "model/log_ranges.h"
#include "repo/damage.h"
#include "repo/verify_parts.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace tidemark::repo {

void Findings::fault(FaultKind kind, const std::string& object, const std::string& text,
                     const std::string& member)
{
    std::lock_guard lock{mutex_};
    Fault fault;
    fault.kind = kind;
    fault.object = object;
    fault.text = said_of(object, text);
    fault.member = member;
    faults_.emplace(object, std::move(fault));
}

void Findings::note(std::string text)
{
    std::lock_guard lock{mutex_};
    notes_.push_back(std::move(text));
}

std::vector<Fault> Findings::take_faults()
{
    std::lock_guard lock{mutex_};
    std::vector<Fault> out;
    for (auto& [object, fault] : faults_)
        out.push_back(std::move(fault));
    faults_.clear();
    return out;
}

std::vector<std::string> Findings::take_notes()
{
    std::lock_guard lock{mutex_};
    std::sort(notes_.begin(), notes_.end());
    return std::move(notes_);
}

bool is_accounted_for(const model::Tombstone& gone, const std::string& member,
                      const model::LogRange& range, std::vector<model::LogRange> others)
{
    auto given_up = gone.log_gone.find(member);
    if (given_up != gone.log_gone.end())
        others.insert(others.end(), given_up->second.begin(), given_up->second.end());
    return model::subtract_ranges({range}, std::move(others)).empty();
}

namespace {

/// What a backup holds is what the server had: no fault of the repository.
void note_damaged_pages(const RepositoryView& view, Findings& findings)
{
    for (const auto& [name, member] : view.members)
        for (const auto& backup : member.backups)
            if (backup.value.is_damaged())
                findings.note(fmt::format("member {}: b-{} holds {} pages that were damaged at the "
                                          "server when it was taken",
                                          name, backup.number(), backup.value.damaged_pages()));
}

VerifyReport look(store::Storage& storage, const std::string& group, const VerifyOptions& options,
                  const VerifyProgress& progress, std::stop_token stop)
{
    RepositoryView view = load_view(storage, group, {.proofs = false});
    Findings findings;
    model::Tombstone gone;
    if (auto newest = Tombstones{storage, group}.latest_readable()) gone = std::move(newest->value);
    check_chains(storage, view, gone, findings);
    note_damaged_helpers(storage, view, findings);
    note_damaged_pages(view, findings);
    VerifyReport report;
    report.bytes = check_data(storage, view, gone, findings, options, progress, std::move(stop));
    weigh(view, gone, findings, report);
    report.objects = findings.objects();
    return report;
}

/// An `expire` may remove while we look. What a tombstone names, and is not there, is a fault only
/// if a second look misses it too: then something that stays needs it.
void forgive_what_went(store::Storage& storage, const std::string& group, VerifyReport& report,
                       std::stop_token stop)
{
    if (report.ok()) return;
    auto condemned = condemned_keys(storage, group);
    auto went = [&](const Fault& fault) {
        return condemned.contains(fault.object) && !storage.stat(fault.object);
    };
    if (std::none_of(report.faults.begin(), report.faults.end(), went)) return;
    std::set<std::string> still;
    auto again = look(storage, group, {.data = false}, {}, std::move(stop));
    for (const Fault& fault : again.faults)
        still.insert(fault.object);
    auto before = report.faults.size();
    std::erase_if(report.faults,
                  [&](const Fault& fault) { return went(fault) && !still.contains(fault.object); });
    if (report.faults.size() == before) return;
    report.marks = std::max(again.marks, report.restorable_marks);
    report.notes.push_back(
        fmt::format("{} objects were removed by retention while they were looked at",
                    before - report.faults.size()));
}

} // namespace

VerifyReport verify(const Repository& repository, const std::string& group,
                    const VerifyOptions& options, const VerifyProgress& progress,
                    std::stop_token stop)
{
    store::Storage& storage = repository.storage();
    auto report = look(storage, group, options, progress, stop);
    forgive_what_went(storage, group, report, std::move(stop));
    return report;
}

} // namespace tidemark::repo
