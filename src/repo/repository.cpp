#include "repo/repository.h"

#include "base/error.h"
#include "base/random.h"
#include "repo/json.h"
#include "repo/layout.h"
#include "store/probe.h"

#include <fmt/format.h>

namespace tidemark::repo {

using base::Code;
using base::Error;

namespace {

constexpr DocumentKind kRepositoryDocument{"repository", 1};
constexpr std::size_t kMaxHead = 64 << 10;

base::Bytes encode_head(const RepositoryHead& head)
{
    JsonBuilder store;
    store.text("kind", head.store_kind).flag("create_is_exclusive", head.create_is_exclusive);
    JsonBuilder out{{kRepositoryDocument.name, head.format}};
    out.text("id", head.id)
        .text("cipher", head.cipher)
        .time("created", head.created)
        .object("store", std::move(store));
    return out.bytes();
}

RepositoryHead decode_head(base::ByteView bytes)
{
    auto document = JsonDocument::parse(bytes, std::string(kHeadKey));
    JsonObject from = document.expect(kRepositoryDocument);
    RepositoryHead out;
    out.format = from.u64("format");
    out.id = from.text("id");
    out.cipher = from.text("cipher");
    out.created = from.time("created");
    JsonObject store = from.object("store");
    out.store_kind = store.text("kind");
    out.create_is_exclusive = store.flag("create_is_exclusive");
    if (out.id.size() != 32 || !base::from_hex(out.id)) from.refuse("id", "is no repository id");
    if (out.cipher != "none")
        throw Error{
            Code::repository_newer,
            fmt::format("the repository is encrypted with {}, which this version cannot read",
                        out.cipher),
            {.hint = "use the version of tidemark that wrote it, or a newer one"}};
    return out;
}

/// The parts of the keys below `prefix` up to the next '/'.
std::vector<std::string> folders(store::Storage& storage, const std::string& prefix)
{
    auto out = storage.folders(prefix);
    std::erase_if(out, [](const std::string& name) { return !model::is_valid_name(name); });
    return out;
}

[[noreturn]] void throw_exists(store::Storage& storage)
{
    throw Error{Code::usage,
                fmt::format("there is a repository at {} already", storage.traits().where),
                {.hint = "name another place, or use the one that is there"}};
}

} // namespace

Repository::Repository(store::Storage& storage, RepositoryHead head)
    : storage_(&storage), head_(std::move(head))
{
}

bool Repository::exists(store::Storage& storage)
{
    return storage.stat(kHeadKey).has_value();
}

Repository Repository::create(store::Storage& storage, base::Random& random)
{
    if (exists(storage)) throw_exists(storage);
    if (!storage.list(groups_prefix()).empty())
        throw Error{Code::failed,
                    fmt::format("{} holds backups but no {}", storage.traits().where, kHeadKey),
                    {.hint = "bring that file back; without it this may be another repository"}};
    // Everything rests on creates that never overwrite and lists that are complete: seen by effect,
    // not by promise (rules.md 30).
    base::SystemRandom names;
    store::probe(storage, names);
    base::Bytes id(16);
    random.fill(id);
    RepositoryHead head;
    head.id = base::to_hex(id);
    head.format = kRepositoryDocument.format;
    head.created = storage.now();
    head.store_kind = storage.traits().kind;
    head.create_is_exclusive = true;
    base::Bytes bytes = encode_head(head);
    if (store::put(storage, kHeadKey, bytes) == store::Created::already_there)
        throw_exists(storage);
    // The same of the object that others will race for.
    base::Bytes other = base::to_bytes("{}\n");
    bool refused = store::put(storage, kHeadKey, other) == store::Created::already_there;
    auto back = store::get(storage, kHeadKey, kMaxHead);
    if (!refused || back != bytes) {
        storage.remove(kHeadKey);
        throw Error{Code::failed,
                    fmt::format("{} lets one object overwrite another, so two jobs could destroy "
                                "each other's backups",
                                storage.traits().where),
                    {.hint = "use a local file system, NFS 4 or another one with hard links"}};
    }
    return Repository{storage, std::move(head)};
}

Repository Repository::open(store::Storage& storage)
{
    auto bytes = store::get(storage, kHeadKey, kMaxHead);
    constexpr const char* kBringBack =
        "bring that small file back from a copy of the repository: it never changes after init";
    if (!bytes && !storage.list(groups_prefix()).empty())
        throw Error{Code::not_restorable,
                    fmt::format("{} holds backups but no {}", storage.traits().where, kHeadKey),
                    {.hint = kBringBack}};
    if (!bytes)
        throw Error{Code::usage,
                    fmt::format("there is no tidemark repository at {}", storage.traits().where),
                    {.hint = "create one with `tidemark init`, or check the path"}};
    try {
        return Repository{storage, decode_head(*bytes)};
    } catch (const Error& error) {
        if (error.code() != Code::failed) throw;
        throw Error{Code::not_restorable,
                    fmt::format("the repository at {} cannot be opened: {}", storage.traits().where,
                                error.what()),
                    {.hint = kBringBack}};
    }
}

std::vector<std::string> Repository::groups() const
{
    return folders(*storage_, groups_prefix());
}

std::vector<std::string> Repository::members(const std::string& group) const
{
    return folders(*storage_, members_prefix(group));
}

} // namespace tidemark::repo
