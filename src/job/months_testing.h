#pragma once

#include "job/expire.h"
#include "job/world_testing.h"
#include "repo/index_codec.h"
#include "repo/layout.h"
#include "repo/piece.h"
#include "repo/runs.h"

#include <fmt/format.h>
#include <map>
#include <string>

namespace tidemark::job {

/// A group of three members that gets a mark every so often for months, in memory, with objects as
/// small as they can be: what matters is how many there are. Writes them as the jobs would, without
/// servers and without asking the store about numbers that it knows.
class SimulatedMonths {
public:
    explicit SimulatedMonths(base::Duration mark_every)
        : every_(mark_every), clock_(*base::parse_time("2026-01-01T00:00:00Z")), storage_(clock_)
    {
        base::log_setup({.level = base::LogLevel::off});
        base::SeededRandom random(1);
        repository_.emplace(repo::Repository::create(storage_, random));
        group_.name = "shop";
        for (const char* name : {"orders", "stock", "billing"})
            members_[name] = {};
    }

    /// A full backup, a day of marks, then retention as the scheduled run calls it.
    void live_a_day()
    {
        auto end = clock_.now() + std::chrono::hours{24};
        bool full = true;
        for (; clock_.now() < end; clock_.advance(every_)) {
            place_mark(full);
            full = false;
        }
        ExpireOptions options;
        options.wait = false;
        last_ = expire(context(), options);
    }

    Context context()
    {
        return {.repository = *repository_,
                .engine = [](const model::MemberSpec&) -> engine::Engine& {
                    throw base::Error{base::Code::failed, "there are no servers here"};
                },
                .group = group_,
                .progress = progress_,
                .clock = clock_,
                .stop = {},
                .compression_level = 0,
                .workers = 1,
                .command = "test",
                .host = "here"};
    }

    model::GroupSpec& spec() { return group_; }
    store::MemoryStorage& storage() { return storage_; }
    std::size_t objects() { return storage_.list("").size(); }
    std::map<std::string, std::size_t> objects_by_kind()
    {
        std::map<std::string, std::size_t> out;
        for (const auto& info : storage_.list("groups/shop/")) {
            auto rest = info.key.substr(std::string("groups/shop/").size());
            if (rest.starts_with("members/")) {
                auto from = rest.find('/', std::string("members/").size()) + 1;
                auto kind = rest.substr(from, rest.find('/', from) - from);
                ++out[kind == "log" && rest.ends_with(".idx") ? "log indexes" : kind];
            } else {
                ++out[rest.substr(0, rest.find('/'))];
            }
        }
        return out;
    }
    const ExpireReport& last() const { return last_; }

private:
    struct Member {
        model::Offset end = kSegment;
        std::optional<model::ObjectRef> manifest;
        model::Number backups = 0;
    };
    static constexpr std::uint32_t kSegment = 1U << 20;
    static constexpr std::uint64_t kLog = 96; ///< bytes per mark and member

    model::ObjectRef put(const std::string& key, const base::Bytes& bytes)
    {
        store::put(storage_, key, bytes);
        return {.key = key, .size = bytes.size(), .sha256 = stream::sha256(bytes)};
    }

    repo::CommitHeader header(model::Number number, const std::optional<model::ObjectRef>& before)
    {
        return {.number = number, .lease = {}, .predecessor = before, .nonce = "0000"};
    }

    model::PieceRef grow(const std::string& name, Member& member)
    {
        repo::PieceInfo info{.system_id = 7,
                             .segment_size = kSegment,
                             .version_num = 150018,
                             .range = {.epoch = 1, .from = member.end, .to = member.end + kLog}};
        repo::PieceBuilder builder(info, {.level = 0, .limit = repo::kPieceLimit});
        (void)builder.append(base::Bytes(kLog, static_cast<std::byte>(marks_ & 0xFFU)));
        auto built = builder.finish();
        repo::PieceId id{.range = info.range, .lease = 1};
        model::MemberId member_id{"shop", name};
        model::PieceRef ref{.range = info.range,
                            .object = put(repo::piece_key(member_id, id), built.bytes)};
        model::LogIndex index;
        index.range = info.range;
        put(repo::index_key(member_id, id), repo::encode_index({.index = index,
                                                                .piece_sha256 = built.sha256,
                                                                .piece_size = built.bytes.size(),
                                                                .piece_key = ref.object.key}));
        member.end += kLog;
        return ref;
    }

    void back_up(const std::string& name, Member& member)
    {
        model::MemberId id{"shop", name};
        model::Number number = ++member.backups;
        model::Manifest manifest;
        manifest.group = "shop";
        manifest.member = name;
        manifest.start = {.epoch = 1, .offset = member.end - member.end % kSegment};
        manifest.stop = {.epoch = 1, .offset = member.end};
        manifest.started = manifest.ended = clock_.now();
        manifest.identity.system_id = "7";
        manifest.identity.log_segment_size = kSegment;
        auto pack =
            put(repo::pack_key(id, {.backup = number, .lease = 1, .number = 0}), base::Bytes(1));
        manifest.packs.push_back({.key = pack.key, .size = pack.size});
        manifest.page_map = put(repo::page_map_key(id, number, 1), base::Bytes(1));
        member.manifest = put(repo::manifest_key(id, number),
                              repo::encode_manifest(manifest, header(number, member.manifest)));
    }

    void place_mark(bool full)
    {
        model::BackupSet set;
        set.group = "shop";
        set.kind = full ? model::SetKind::full : model::SetKind::log;
        set.started = set.ended = clock_.now();
        model::Mark mark;
        mark.group = "shop";
        mark.created = clock_.now();
        if (marks_ > 0) mark.previous = repo::mark_id(marks_);
        set.mark = mark.number = ++marks_;
        mark.id = repo::mark_id(marks_);
        for (auto& [name, member] : members_) {
            if (full) back_up(name, member);
            model::MarkMember line{.name = name, .engine = "postgresql", .system_id = "7"};
            line.b = line.r = member.end;
            line.cut = {.epoch = 1, .offset = member.end};
            auto piece = grow(name, member);
            line.r_end = line.e = line.log_end = member.end;
            mark.table.members[name] = {.epoch = 1, .b = line.b, .r = line.r, .e = line.e};
            mark.members.push_back(std::move(line));
            model::SetMember part;
            if (full) part.backup = member.backups;
            part.pieces.push_back(std::move(piece));
            part.log_to = model::LogPosition{1, member.end};
            set.members.emplace(name, std::move(part));
        }
        mark_ = put(repo::mark_key("shop", marks_), repo::encode_mark(mark, header(marks_, mark_)));
        set_ = put(repo::set_key("shop", marks_), repo::encode_set(set, header(marks_, set_)));
        model::Run run;
        run.group = "shop";
        run.command = "run";
        run.host = "here";
        run.started = run.ended = clock_.now();
        run_ = put(repo::run_key("shop", marks_), repo::encode_run(run, header(marks_, run_)));
    }

    base::Duration every_;
    base::FakeClock clock_;
    store::MemoryStorage storage_;
    std::optional<repo::Repository> repository_;
    model::GroupSpec group_;
    Silent progress_;
    std::map<std::string, Member> members_;
    model::Number marks_ = 0;
    std::optional<model::ObjectRef> mark_, set_, run_;
    ExpireReport last_;
};

} // namespace tidemark::job
