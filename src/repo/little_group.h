#pragma once

#include "repo/backups.h"
#include "repo/histories.h"
#include "repo/identities.h"
#include "repo/log_catalog.h"
#include "repo/log_writer.h"
#include "repo/marks.h"
#include "repo/repo_testing.h"
#include "repo/repository.h"
#include "repo/sets.h"

#include <map>
#include <string>
#include <vector>

namespace tidemark::repo::testing {

/// The byte of any member's log at `offset`: pieces that overlap agree.
inline std::byte log_byte(model::Offset offset)
{
    std::uint64_t x = offset / 8 * 0x9E3779B97F4A7C15U;
    return static_cast<std::byte>((x >> (offset % 8 * 7)) & 0xFF);
}

inline BuiltPiece build_piece(const model::LogRange& range)
{
    PieceBuilder builder{
        {.system_id = 7001, .segment_size = kSegment, .version_num = 150018, .range = range}, {}};
    base::Bytes bytes(range.to - range.from);
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = log_byte(range.from + i);
    (void)builder.append(bytes);
    return builder.finish();
}

inline model::LogIndex plain_index(const model::LogRange& range)
{
    model::LogIndex out;
    out.range = range;
    out.records = (range.to - range.from) / 64;
    return out;
}

/// A repository with a group of two members that grows as the test says: base backups,
/// log, marks, sets, all real objects.
class LittleGroup {
public:
    struct Member {
        model::MemberId id;
        model::History history{1};
        model::Offset end = kSegment; ///< of its log
        std::vector<model::PieceRef> fresh;
        std::optional<model::Number> backup;
        std::unique_ptr<LogWriter> log;
    };

    /// Makes the repository, or goes on with the one that is there as the next run would.
    LittleGroup(store::Storage& store, base::FakeClock& clock,
                const LeaseOwner& owner = remote_owner("tidemark log"))
        : storage(store), owner_(owner), clock_(clock)
    {
        base::SeededRandom random{1};
        if (!Repository::exists(storage)) Repository::create(storage, random);
        lease = take(storage, "log", owner_);
        for (const char* name : {"orders", "stock"}) {
            Member& member = members[name];
            member.id = {"shop", name};
            // As init does: what a run that died left undone is done by the next one.
            if (Identities identities{storage, member.id}; !identities.latest()) {
                model::MemberIdentity identity;
                identity.identity = this->identity();
                identity.log_start = position(member);
                identities.append(nullptr, identity);
            }
            resume(member);
        }
    }

    static model::Identity identity()
    {
        model::Identity out;
        out.system_id = "7001";
        out.version = "15.18";
        out.version_num = 150018;
        out.log_segment_size = kSegment;
        return out;
    }
    static model::LogPosition position(const Member& member)
    {
        return {.epoch = member.history.current(), .offset = member.end};
    }

    model::PieceRef grow(const std::string& name, std::uint64_t bytes = 4096)
    {
        Member& member = members.at(name);
        model::LogRange range{
            .epoch = member.history.current(), .from = member.end, .to = member.end + bytes};
        member.fresh.push_back(member.log->put(build_piece(range), plain_index(range)));
        member.end = range.to;
        return member.fresh.back();
    }

    /// Log that is written and never stored, up to the next segment.
    void gap(const std::string& name)
    {
        Member& member = members.at(name);
        member.end = (member.end / kSegment + 1) * kSegment;
        member.log->start_chain(position(member));
    }

    void fail_over(const std::string& name)
    {
        Member& member = members.at(name);
        auto steps = member.history.ancestors();
        steps.push_back({.epoch = member.history.current(), .left_at = member.end});
        std::string text;
        for (const auto& step : steps)
            text +=
                std::to_string(step.epoch) + "\t" + model::format_offset(step.left_at) + "\tx\n";
        member.history = model::History{member.history.current() + 1, steps};
        store_history(storage, member.id, member.history.current(), text);
        member.log->switch_epoch(member.history.current(), member.end);
    }

    StoredManifest backup(const std::string& name, std::vector<model::DamagedPage> damaged = {})
    {
        Member& member = members.at(name);
        auto mine = take(storage, "backup/" + name, owner_);
        Backups backups{storage, member.id};
        model::Number number = backups.next_number();
        model::Manifest manifest;
        manifest.start = position(member);
        manifest.started = clock_.now();
        manifest.identity = identity();
        manifest.history = member.history;
        manifest.damaged = std::move(damaged);
        write_files(member, number, mine->number(), manifest);
        grow(name);
        manifest.stop = position(member);
        manifest.ended = clock_.now();
        member.backup = number;
        return backups.commit(*mine, number, manifest);
    }

    /// Places a mark over whatever was grown so far, and a little log after it.
    StoredMark mark(const std::string& name = "")
    {
        clock_.advance(std::chrono::seconds{1});
        model::Mark mark;
        mark.name = name;
        mark.created = clock_.now();
        for (auto& [member_name, member] : members) {
            model::MarkMember line;
            line.name = member_name;
            line.engine = "postgresql";
            line.system_id = "7001";
            line.history = member.history;
            line.b = line.r = member.end;
            line.cut = position(member);
            grow(member_name, 512);
            line.r_end = line.e = line.log_end = member.end;
            mark.members.push_back(line);
        }
        return Marks{storage, "shop"}.append(*lease, mark);
    }

    StoredSet close_set(model::Number mark)
    {
        model::BackupSet set;
        set.mark = mark;
        set.started = set.ended = clock_.now();
        for (auto& [name, member] : members) {
            if (member.backup) set.kind = model::SetKind::full;
            set.members[name] = {.backup = member.backup,
                                 .pieces = std::move(member.fresh),
                                 .log_from = {},
                                 .log_to = position(member)};
            member.fresh.clear();
            member.backup.reset();
        }
        return Sets{storage, "shop"}.append(*lease, set);
    }

    model::Number full()
    {
        for (auto& [name, member] : members)
            backup(name);
        return log();
    }
    model::Number log()
    {
        model::Number number = mark().number();
        close_set(number);
        return number;
    }

    store::Storage& storage;
    std::unique_ptr<Lease> lease;
    std::map<std::string, Member> members;

private:
    void resume(Member& member)
    {
        auto catalog = LogCatalog::load(storage, member.id);
        auto end = catalog.durable_end(member.history);
        member.log = std::make_unique<LogWriter>(storage, member.id, *lease, end,
                                                 LogWriter::Options{.log_segment_size = kSegment});
        if (end)
            member.end = end->offset;
        else
            member.log->start_chain(position(member));
        member.fresh = unnamed_pieces(storage, catalog, Sets{storage, "shop"}.list(), {});
    }

    void write_files(const Member& member, model::Number number, model::Number fence,
                     model::Manifest& manifest)
    {
        PackNumbers numbers;
        PackWriter packs{
            storage,
            numbers,
            {.member = member.id, .backup = number, .lease = fence, .compression = {}}};
        PageMapWriter map{storage, member.id, number, fence};
        for (std::uint32_t i = 0; i < 3; ++i) {
            model::FileEntry file;
            file.index = i;
            file.path = "base/1/" + std::to_string(i);
            file.size = 8192;
            map.add_file(file);
            base::Bytes page(8192, static_cast<std::byte>(i + number));
            std::vector<Extent> extents{
                {.file = i, .offset = 0, .length = 8192, .plain_offset = 0}};
            map.add_frame(packs.append(page), extents);
            manifest.totals.file_bytes += file.size;
            manifest.totals.plain_bytes += file.size;
        }
        for (const PackInfo& pack : packs.finish())
            manifest.packs.push_back(pack_ref(member.id, pack));
        manifest.page_map = page_map_ref(member.id, map.finish());
    }

    LeaseOwner owner_;
    base::FakeClock& clock_;
};

} // namespace tidemark::repo::testing
