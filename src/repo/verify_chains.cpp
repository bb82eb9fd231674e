#include "base/error.h"
#include "repo/layout.h"
#include "repo/drills.h"
#include "repo/runs.h"
#include "repo/verify_parts.h"

#include <algorithm>
#include <fmt/format.h>
#include <functional>

namespace tidemark::repo {

using base::Code;
using base::Error;

namespace {

using Decode = std::function<CommitHeader(base::ByteView, const model::ObjectRef&)>;

/// One commit object as the chain needs it.
struct Link {
    model::Number number = 0;
    model::ObjectRef object;
    std::optional<CommitHeader> header; ///< absent when it cannot be read
};

std::optional<Link> read_link(const Sequence& sequence, model::Number number,
                              const std::string& member, const Decode& decode, Findings& findings)
{
    auto found = sequence.read(number);
    if (!found) return std::nullopt; // listed, and then removed
    findings.count(1);
    Link link{.number = number, .object = found->object, .header = {}};
    try {
        CommitHeader header = decode(found->bytes, found->object);
        if (header.number == number)
            link.header = std::move(header);
        else
            findings.fault(FaultKind::damaged, link.object.key,
                           fmt::format("says that its number is {}", header.number), member);
    } catch (const Error& error) {
        if (error.code() != Code::failed) throw;
        findings.fault(FaultKind::unreadable, link.object.key, error.what(), member);
    }
    return link;
}

/// The later of two neighbours tells what the earlier one must be.
void compare(const Link& before, const Link& link, const std::string& member, Findings& findings)
{
    if (!link.header || link.header->predecessor == before.object) return;
    bool named = link.header->predecessor && link.header->predecessor->key == before.object.key;
    if (named)
        findings.fault(FaultKind::damaged, before.object.key,
                       fmt::format("its bytes are not those that {} follows", link.object.key),
                       member);
    else
        findings.fault(FaultKind::broken_chain, link.object.key,
                       fmt::format("does not follow {}", before.object.key), member);
}

void check_sequence(const Sequence& sequence, const std::string& member, const Decode& decode,
                    Findings& findings)
{
    auto absent = [&](model::Number from, model::Number to) {
        for (model::Number number = from; number < to; ++number)
            findings.fault(FaultKind::missing, sequence.key(number),
                           "is missing although later ones are there", member);
    };
    std::optional<Link> before;
    model::Number next = 1;
    for (model::Number number : sequence.numbers()) {
        auto link = read_link(sequence, number, member, decode, findings);
        if (!link) continue;
        absent(next, number);
        if (before && number == next) compare(*before, *link, member, findings);
        if (number == 1 && link->header && link->header->predecessor)
            findings.fault(FaultKind::broken_chain, link->object.key,
                           "is the first one and names one before it", member);
        before = std::move(link);
        next = number + 1;
    }
}

template <typename Decoder> Decode header_by(Decoder decoder)
{
    return [decoder](base::ByteView bytes, const model::ObjectRef& object) {
        return decoder(bytes, object).header;
    };
}

} // namespace

void check_chains(store::Storage& storage, const RepositoryView& view, Findings& findings)
{
    const std::string& group = view.group;
    check_sequence({storage, marks_prefix(group)}, "", header_by(decode_mark), findings);
    check_sequence({storage, sets_prefix(group)}, "", header_by(decode_set), findings);
    check_sequence({storage, runs_prefix(group)}, "", header_by(decode_run), findings);
    check_sequence({storage, drills_prefix(group)}, "", header_by(decode_drill), findings);
    for (const auto& [name, member] : view.members) {
        const model::MemberId& id = member.log.id;
        check_sequence({storage, identities_prefix(id)}, name, header_by(decode_identity),
                       findings);
        check_sequence({storage, backups_prefix(id), "/manifest"}, name, header_by(decode_manifest),
                       findings);
        for (model::Epoch epoch : member.log.histories) {
            std::string key = history_key(id, epoch);
            auto reason = view.unreadable.find(key);
            findings.count(1);
            if (reason != view.unreadable.end())
                findings.fault(FaultKind::unreadable, key, reason->second, name);
        }
    }
}

} // namespace tidemark::repo
