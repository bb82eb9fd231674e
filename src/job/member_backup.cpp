#include "job/member_backup.h"

#include "base/error.h"
#include "job/member_history.h"
#include "repo/frame_packer.h"
#include "repo/layout.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <memory>
#include <vector>

namespace tidemark::job {

using base::Code;
using base::Error;

namespace {

/// Files from the engine, through each worker's packer, into packs and the page map.
class PackSink final : public engine::BackupSink {
public:
    PackSink(const Context& context, const model::MemberId& id, model::Number backup,
             model::Number lease)
        : page_map_(context.storage(), id, backup, lease)
    {
        repo::PackOptions options{
            .member = id, .backup = backup, .lease = lease, .compression = {}};
        options.compression = compression(context.compression_level);
        for (std::uint32_t worker = 0; worker < context.workers; ++worker) {
            packers_.push_back(std::make_unique<repo::FramePacker>(
                repo::PackWriter(context.storage(), numbers_, options), page_map_, counters_,
                repo::FramePacker::Options{}));
        }
    }

    void file(const model::FileEntry& entry) override { page_map_.add_file(entry); }

    void extent(std::uint32_t worker, std::uint32_t index, std::uint64_t offset,
                base::ByteView bytes) override
    {
        packers_[worker]->add(index, offset, bytes);
    }

    const repo::PackingCounters& counters() const { return counters_; }

    /// Everything durable: packs first, the page map that names them after.
    void finish(model::Manifest& manifest, const model::MemberId& id)
    {
        std::uint64_t stored = 0;
        for (auto& packer : packers_) {
            for (const auto& pack : packer->finish()) {
                manifest.packs.push_back(repo::pack_ref(id, pack));
                stored += pack.length;
            }
        }
        auto map = page_map_.finish();
        manifest.page_map = repo::page_map_ref(id, map);
        manifest.totals.files = map.totals.files;
        manifest.totals.file_bytes = map.totals.file_bytes;
        manifest.totals.plain_bytes = map.totals.covered_bytes;
        manifest.totals.stored_bytes = stored + map.length;
    }

private:
    static stream::Compression compression(int level)
    {
        return stream::compression_of_level(level);
    }

    repo::PackNumbers numbers_;
    repo::PackingCounters counters_;
    repo::PageMapWriter page_map_;
    std::vector<std::unique_ptr<repo::FramePacker>> packers_;
};

/// What a backup that failed wrote: its names hold its lease's number, so nobody else refers to
/// them. Not where the manifest is there: then only the answer was lost.
void remove_remains(const Context& context, const model::MemberId& id, model::Number number,
                    model::Number lease)
{
    auto& storage = context.storage();
    try {
        if (storage.stat(repo::manifest_key(id, number))) return;
        storage.remove(repo::page_map_key(id, number, lease));
        for (const auto& info : storage.list(repo::packs_prefix(id))) {
            auto key = repo::parse_key(info.key);
            if (key && key->kind == repo::KeyKind::pack && key->number == number &&
                key->lease == lease)
                storage.remove(info.key);
        }
    } catch (const Error& error) {
        context.progress.note(fmt::format("{}: packs of the failed backup stay until retention "
                                          "removes them: {}",
                                          id.member, error.what()));
    }
}

/// Found out at the restore only, it would be too late.
void warn_of_missing_configuration(const Context& context, const std::string& member,
                                   const model::BackupFacts& facts)
{
    const auto missing = model::missing_configuration(facts.captured);
    if (missing.empty()) return;
    context.progress.warn(
        fmt::format("{}: the backup does not hold {}, which lies outside the data "
                    "directory and could not be read; tidemark check "
                    "(configuration_files) has the fix",
                    member, fmt::join(missing, ", ")));
}

repo::StoredManifest copy_member(const Context& context, const model::MemberSpec& member,
                                 engine::Session& session, std::stop_token stop,
                                 const repo::Backups& backups, model::Number number,
                                 const repo::Lease& lease)
{
    model::MemberId id{.group = context.group.name, .member = member.name};
    model::Manifest manifest;
    manifest.group = id.group;
    manifest.member = id.member;
    manifest.started = context.clock.now();
    manifest.identity = session.identify();
    manifest.history = server_history(session, manifest.identity.position.epoch);

    context.progress.stage(member.name, "checkpoint");
    auto source = session.begin_backup(
        {.label = fmt::format("tidemark {}/{} b-{}", id.group, id.member, number),
         .fast_checkpoint = true,
         .workers = context.workers,
         .bytes_per_second = context.group.bytes_per_second});
    if (!source->begin().instead.empty())
        context.progress.warn(fmt::format("{}: {}", member.name, source->begin().instead));
    manifest.start = source->begin().start;
    manifest.checkpoint = source->begin().checkpoint;
    manifest.over_wire = source->begin().over_wire;
    manifest.facts = source->facts();
    warn_of_missing_configuration(context, member.name, manifest.facts);

    context.progress.stage(member.name, "copy files", source->begin().estimated_bytes);
    PackSink sink(context, id, number, lease.number());
    std::atomic<std::uint64_t> read{0};
    {
        std::mutex mutex;
        std::condition_variable_any wake;
        std::jthread reporter([&](std::stop_token over) {
            std::unique_lock lock(mutex);
            while (!over.stop_requested()) {
                wake.wait_for(lock, over, std::chrono::milliseconds{200}, [] { return false; });
                context.progress.advance(member.name,
                                         sink.counters().durable + sink.counters().zero);
            }
        });
        source->copy(sink, read, stop);
    }
    if (stop.stop_requested()) throw Error{Code::cancelled, "stopped while copying files"};
    auto end = source->finish();
    context.progress.stage(member.name, "make durable");
    sink.finish(manifest, id);

    manifest.stop = end.stop;
    manifest.backup_label = end.backup_label;
    manifest.tablespace_map = end.tablespace_map;
    manifest.damaged = end.damaged;
    manifest.prepared_xids = end.prepared_xids;
    manifest.totals.pages_verified = end.pages_verified;
    manifest.totals.pages_reread = end.pages_reread;
    if (end.pages_damaged > end.damaged.size()) manifest.totals.pages_damaged = end.pages_damaged;
    manifest.ended = context.clock.now();
    lease.check();
    auto stored = backups.commit(lease, number, manifest);
    context.progress.finished(member.name);
    return stored;
}

} // namespace

repo::StoredManifest back_up_member(const Context& context, const model::MemberSpec& member,
                                    engine::Session& session, std::stop_token stop)
{
    model::MemberId id{.group = context.group.name, .member = member.name};
    auto lease = repo::Lease::acquire(context.storage(), id.group, "backup/" + id.member,
                                      context.owner(), {.ttl = context.lease_ttl});
    repo::Backups backups(context.storage(), id);
    auto number = backups.next_number();
    try {
        return copy_member(context, member, session, std::move(stop), backups, number, *lease);
    } catch (const Error&) {
        remove_remains(context, id, number, lease->number());
        throw;
    }
}

} // namespace tidemark::job
