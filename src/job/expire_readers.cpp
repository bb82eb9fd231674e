#include "job/expire_readers.h"

#include "repo/holds.h"
#include "repo/intents.h"
#include "repo/restore_book.h"

#include <fmt/format.h>

namespace tidemark::job {

namespace {

void add_intents(store::Storage& storage, const std::string& group, model::RetentionInput& input)
{
    for (auto& one : repo::list_intents(storage, group)) {
        if (!one.in_force(input.now)) continue;
        input.readers.push_back(
            {.why = one.readable
                        ? fmt::format("`{}` on {} reads it since {}", one.value.command,
                                      one.value.host, base::format_time_human(one.value.since))
                        : "an intent that cannot be read may be about it",
             .everything = !one.readable,
             .mark = one.value.mark,
             .reads = std::move(one.value.reads)});
    }
}

/// A copy that stands at the mark is opened later, by another process, and from the base backup
/// that it was made of: another one that leads to the mark as well does not do.
void add_open_restores(store::Storage& storage, const std::string& group,
                       model::RetentionInput& input, repo::Unreadable& lost)
{
    for (const auto& restore : repo::RestoreBook(storage, group).open(&lost)) {
        auto why = model::restore_id(restore.number) + " is not finished";
        input.held.emplace(restore.mark, why);
        model::RetentionReader reader{.why = std::move(why)};
        for (const auto& [member, report] : restore.reports)
            if (report.backup != 0) reader.reads[member].backups = {report.backup};
        input.readers.push_back(std::move(reader));
    }
    if (!lost.empty())
        input.readers.push_back({.why = "the newest book of restores cannot be read, and one that "
                                        "is not finished may need it",
                                 .everything = true});
}

} // namespace

void add_holds(store::Storage& storage, const std::string& group, model::RetentionInput& input,
               repo::Unreadable& lost)
{
    for (const auto& hold : repo::HoldBook(storage, group).holds(&lost))
        if (hold.in_force(input.now))
            input.held.emplace(hold.mark, hold.note.empty() ? "held" : "held: " + hold.note);
    if (!lost.empty())
        input.readers.push_back(
            {.why = "the newest holds cannot be read, and it may be held", .everything = true});
}

void add_readers(store::Storage& storage, const std::string& group, model::RetentionInput& input,
                 repo::Unreadable& lost)
{
    // A restore enters into the book what it stands on, then withdraws its intent: one of the two
    // is seen when the book is read second.
    add_intents(storage, group, input);
    add_open_restores(storage, group, input, lost);
}

} // namespace tidemark::job
