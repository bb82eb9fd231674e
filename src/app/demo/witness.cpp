#include "app/demo/witness.h"

#include "base/check.h"
#include "base/fd.h"

#include <fmt/format.h>

namespace tidemark::app {

std::uint64_t Witness::begin(std::string gid, int participants)
{
    std::lock_guard lock{mutex_};
    auto id = transfers_.size() + 1;
    transfers_.push_back({.id = id,
                          .gid = std::move(gid),
                          .participants = participants,
                          .begun = std::chrono::steady_clock::now()});
    return id;
}

void Witness::finish(std::uint64_t id, Outcome outcome)
{
    auto now = std::chrono::steady_clock::now();
    std::lock_guard lock{mutex_};
    CHECK(id >= 1 && id <= transfers_.size());
    auto& transfer = transfers_[id - 1];
    // Only what is not certain yet may change.
    CHECK(transfer.outcome == Outcome::running || transfer.outcome == Outcome::unknown);
    transfer.outcome = outcome;
    transfer.finished = now;
}

std::vector<Transfer> Witness::transfers() const
{
    std::lock_guard lock{mutex_};
    return transfers_;
}

std::uint64_t Witness::size() const
{
    std::lock_guard lock{mutex_};
    return transfers_.size();
}

void Witness::save(const std::filesystem::path& path) const
{
    std::string text;
    for (const auto& transfer : transfers()) {
        text += fmt::format(
            "{} {} {} {} {} {}\n", transfer.id, transfer.gid.empty() ? "-" : transfer.gid,
            transfer.participants, transfer.begun.time_since_epoch().count(),
            transfer.finished.time_since_epoch().count(), outcome_name(transfer.outcome));
    }
    base::replace_file(path, base::as_bytes(text), 0644);
}

std::string outcome_name(Outcome outcome)
{
    switch (outcome) {
    case Outcome::running:
        return "running";
    case Outcome::committed:
        return "committed";
    case Outcome::rolled_back:
        return "rolled_back";
    case Outcome::unknown:
        return "unknown";
    }
    CHECK(false);
    return {};
}

} // namespace tidemark::app
