#include "repo/view.h"

#include "base/error.h"
#include "repo/histories.h"
#include "repo/layout.h"
#include "repo/repository.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace tidemark::repo {

using base::Code;
using base::Error;

namespace {

/// Newest first. One that cannot be read is noted and left out.
template <typename Source>
auto load_all(const Source& source, const Sequence& names, std::size_t limit,
              std::map<std::string, std::string>& unreadable)
{
    std::vector<typename decltype(source.load(1))::value_type> out;
    auto numbers = names.numbers();
    for (auto number = numbers.rbegin(); number != numbers.rend(); ++number) {
        if (limit != 0 && out.size() == limit) break;
        try {
            auto item = source.load(*number);
            if (item) out.push_back(std::move(*item));
        } catch (const Error& error) {
            if (error.code() != Code::failed) throw;
            unreadable.emplace(names.key(*number), error.what());
        }
    }
    return out;
}

void drop_proof(model::Mark& mark)
{
    mark.anchor = {};
    mark.at = {};
    mark.table = {};
}

void load_histories(store::Storage& storage, MemberView& member,
                    std::map<std::string, std::string>& unreadable)
{
    member.histories.emplace(1, model::History{1});
    for (model::Epoch epoch : member.log.histories) {
        try {
            member.histories.insert_or_assign(epoch, load_history(storage, member.log.id, epoch));
        } catch (const Error& error) {
            if (error.code() != Code::failed) throw;
            unreadable.emplace(history_key(member.log.id, epoch), error.what());
        }
    }
}

MemberView load_member(store::Storage& storage, const model::MemberId& id,
                       std::map<std::string, std::string>& unreadable)
{
    MemberView out;
    out.backups = load_all(Backups{storage, id}, Sequence{storage, backups_prefix(id), "/manifest"},
                           0, unreadable);
    out.identities =
        load_all(Identities{storage, id}, Sequence{storage, identities_prefix(id)}, 0, unreadable);
    out.log = LogCatalog::load(storage, id);
    out.joined = JoinedCatalog{storage, id}.pieces();
    load_histories(storage, out, unreadable);
    for (const std::string& prefix : {packs_prefix(id), backups_prefix(id)}) {
        for (const store::ObjectInfo& info : storage.list(prefix)) {
            auto key = parse_key(info.key);
            if (key && (key->kind == KeyKind::pack || key->kind == KeyKind::page_map))
                out.packs.emplace(info.key, info.size);
        }
    }
    return out;
}

[[noreturn]] void throw_no_group(const Repository& repository, const std::string& group)
{
    auto groups = repository.groups();
    throw Error{Code::usage,
                fmt::format("the repository at {} holds no group \"{}\"",
                            repository.storage().traits().where, group),
                {.hint = groups.empty() ? std::string("it holds no group at all; run `tidemark "
                                                      "backup` first")
                                        : fmt::format("it holds: {}", fmt::join(groups, ", "))}};
}

} // namespace

RepositoryView load_view(store::Storage& storage, const std::string& group,
                         const ViewOptions& options)
{
    Repository repository = Repository::open(storage);
    auto members = repository.members(group);
    if (members.empty()) throw_no_group(repository, group);
    RepositoryView out;
    out.group = group;
    out.marks = load_all(Marks{storage, group}, Sequence{storage, marks_prefix(group)},
                         options.marks, out.unreadable);
    if (!options.proofs)
        for (StoredMark& mark : out.marks)
            drop_proof(mark.value);
    out.sets =
        load_all(Sets{storage, group}, Sequence{storage, sets_prefix(group)}, 0, out.unreadable);
    for (const std::string& member : members)
        out.members.emplace(
            member, load_member(storage, {.group = group, .member = member}, out.unreadable));
    return out;
}

} // namespace tidemark::repo
