#include "repo/verify.h"

#include "model/retention.h"
#include "repo/layout.h"
#include "repo/verify_parts.h"

#include <algorithm>

namespace tidemark::repo {

void Findings::fault(FaultKind kind, const std::string& object, std::string text,
                     const std::string& member)
{
    std::lock_guard lock{mutex_};
    Fault fault;
    fault.kind = kind;
    fault.object = object;
    fault.text = std::move(text);
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

std::set<std::string> Findings::blamed() const
{
    std::lock_guard lock{mutex_};
    std::set<std::string> out;
    for (const auto& [object, fault] : faults_)
        out.insert(object);
    return out;
}

bool is_accounted_for(const model::Tombstone& gone, const std::string& member,
                      const model::LogRange& range, std::vector<model::LogRange> others)
{
    auto given_up = gone.log_gone.find(member);
    if (given_up != gone.log_gone.end())
        others.insert(others.end(), given_up->second.begin(), given_up->second.end());
    return model::subtract_ranges({range}, std::move(others)).empty();
}

VerifyReport verify(const Repository& repository, const std::string& group,
                    const VerifyOptions& options, const VerifyProgress& progress,
                    std::stop_token stop)
{
    store::Storage& storage = repository.storage();
    RepositoryView view = load_view(storage, group, {.marks = 0, .proofs = false});
    Findings findings;
    model::Tombstone gone;
    if (auto newest = Tombstones{storage, group}.latest_readable()) gone = std::move(newest->value);
    check_chains(storage, view, gone, findings);
    VerifyReport report;
    report.bytes = check_data(storage, view, gone, findings, options, progress, std::move(stop));
    weigh(view, gone, findings, report);
    report.objects = findings.objects();
    return report;
}

} // namespace tidemark::repo
