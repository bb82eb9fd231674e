#include "base/error.h"
#include "base/task_group.h"
#include "repo/index_codec.h"
#include "repo/layout.h"
#include "repo/page_map.h"
#include "repo/piece.h"
#include "repo/verify_parts.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <functional>

namespace tidemark::repo {

using base::Code;
using base::Error;

namespace {

/// One object to read.
struct Task {
    std::string key;
    std::string member;
    std::uint64_t bytes = 0;
    std::function<void()> read; ///< throws what is wrong
};

/// Frames as a multiset that takes no memory: their number and the sum of their hashes. Page map
/// and pack must agree on it.
struct FrameSum {
    std::uint64_t frames = 0;
    std::uint64_t sum = 0;

    void add(const FrameRef& frame)
    {
        base::ByteWriter out;
        out.u64(frame.offset);
        out.u32(frame.stored_length);
        out.u32(frame.plain_length);
        out.u64(frame.xxh3);
        out.raw(frame.sha16);
        sum += stream::xxh3_64(out.bytes());
        ++frames;
    }
    friend bool operator==(const FrameSum&, const FrameSum&) = default;
};

/// What the page maps of a member say of its packs, against what the packs hold.
class FrameSums {
public:
    void add(std::map<std::string, FrameSum>& into, const std::string& key, const FrameSum& sum)
    {
        std::lock_guard lock{mutex_};
        into[key].frames += sum.frames;
        into[key].sum += sum.sum;
    }
    std::map<std::string, FrameSum> told;
    std::map<std::string, FrameSum> found;

private:
    std::mutex mutex_;
};

class SummingVisitor final : public PageMapVisitor {
public:
    explicit SummingVisitor(const model::MemberId& id) : id_(id) {}
    void frame(const FrameRef& frame, std::span<const Extent>) override
    {
        sums_[frame.pack].add(frame);
    }
    void give(FrameSums& to) const
    {
        for (const auto& [pack, sum] : sums_)
            to.add(to.told, pack_key(id_, pack), sum);
    }

private:
    const model::MemberId& id_;
    std::map<PackId, FrameSum> sums_;
};

[[noreturn]] void blame(const std::string& what)
{
    throw Error{Code::not_restorable, what};
}

/// Collects what there is to read of one group.
class Collector {
public:
    Collector(store::Storage& storage, RepositoryView& view, const model::Tombstone& gone,
              Findings& findings, const VerifyOptions& options)
        : storage_(storage), view_(view), gone_(gone), findings_(findings), options_(options)
    {
    }

    void member(const std::string& name);
    std::vector<Task> take() { return std::move(tasks_); }
    void compare_frames();

private:
    void backup(const model::MemberId& id, MemberView& member, const StoredManifest& backup);
    void pieces(const model::MemberId& id, MemberView& member);
    void piece(const model::MemberId& id, const LogPiece& piece,
               const std::optional<model::Digest>& expected);
    void index(const model::MemberId& id, const LogPiece& piece,
               const stream::Sha256Digest& sha256);
    void overlap(const model::MemberId& id, const LogPiece& a, const LogPiece& b);
    void histories(const model::MemberId& id, MemberView& member);
    void leftovers(const std::string& name, const MemberView& member);
    /// True when it is there and has the size; else the fault is noted and the view completed.
    bool present(MemberView& member, const std::string& key, std::uint64_t size);

    store::Storage& storage_;
    RepositoryView& view_;
    const model::Tombstone& gone_;
    Findings& findings_;
    const VerifyOptions& options_;
    std::vector<Task> tasks_;
    FrameSums sums_;
    std::set<std::string> referred_;
};

bool Collector::present(MemberView& member, const std::string& key, std::uint64_t size)
{
    if (!referred_.insert(key).second) return false; // seen with another backup
    findings_.count(1);
    auto there = member.packs.find(key);
    if (there != member.packs.end() && there->second == size) return true;
    if (there == member.packs.end())
        findings_.fault(FaultKind::missing, key, "is missing", member.log.id.member);
    else
        findings_.fault(FaultKind::damaged, key,
                        fmt::format("has {} bytes and should have {}", there->second, size),
                        member.log.id.member);
    member.packs.insert_or_assign(key, size);
    return false;
}

void Collector::backup(const model::MemberId& id, MemberView& member, const StoredManifest& backup)
{
    const model::ObjectRef& map = backup.value.page_map;
    auto key = parse_key(map.key);
    if (!key || key->kind != KeyKind::page_map || key->id != id) {
        findings_.fault(FaultKind::damaged, backup.object.key,
                        fmt::format("names {} as its page map", map.key), id.member);
        return;
    }
    if (present(member, map.key, map.size) && options_.data)
        tasks_.push_back({map.key, id.member, map.size, [this, id, key = *key, map] {
                              SummingVisitor visitor{id};
                              read_page_map(storage_, id, key.number, key.lease, visitor,
                                            map.sha256);
                              visitor.give(sums_);
                          }});
    for (const model::PackRef& pack : backup.value.packs) {
        auto name = parse_key(pack.key);
        if (!name || name->kind != KeyKind::pack || name->id != id) {
            findings_.fault(FaultKind::damaged, backup.object.key,
                            fmt::format("names {} as a pack", pack.key), id.member);
            continue;
        }
        if (!present(member, pack.key, pack.size) || !options_.data) continue;
        tasks_.push_back({pack.key, id.member, pack.size, [this, id, name = *name, pack] {
                              FrameSum sum;
                              PackInfo found = scan_pack(
                                  storage_, id, name.pack_id(),
                                  {.unpack = options_.unpack,
                                   .frame = [&](const FrameRef& frame) { sum.add(frame); }});
                              if (found.root != pack.root || found.length != pack.size ||
                                  found.frames != pack.frames)
                                  blame("its frames are not those the manifest lists");
                              sums_.add(sums_.found, pack.key, sum);
                          }});
    }
}

void Collector::compare_frames()
{
    for (const auto& [key, told] : sums_.told) {
        auto found = sums_.found.find(key);
        if (found == sums_.found.end() || found->second.frames > told.frames) continue;
        if (found->second == told) continue;
        auto name = parse_key(key);
        findings_.fault(FaultKind::mismatch, key,
                        "the page map points to other frames than it holds",
                        name ? name->id.member : "");
    }
}

void Collector::piece(const model::MemberId& id, const LogPiece& piece,
                      const std::optional<model::Digest>& expected)
{
    findings_.count(1);
    if (!piece.indexed)
        findings_.note(fmt::format("{} has no index; it is made again when needed", piece.key));
    if (!options_.data) return;
    tasks_.push_back({piece.key, id.member, piece.size, [this, id, piece, expected] {
                          PieceReader reader{
                              storage_, id, {.range = piece.range, .lease = piece.lease}};
                          auto sha256 = reader.verify(expected);
                          if (piece.indexed) index(id, piece, sha256);
                      }});
}

/// A wrong index is a fault of its own: it can be made again from the piece.
void Collector::index(const model::MemberId& id, const LogPiece& piece,
                      const stream::Sha256Digest& sha256)
{
    std::string key = index_key(id, {.range = piece.range, .lease = piece.lease});
    findings_.count(1);
    try {
        auto bytes = store::get(storage_, key, kMaxIndexBytes);
        if (!bytes) return;
        StoredIndex stored = decode_index(*bytes);
        if (stored.piece_key != piece.key || stored.piece_size != piece.size ||
            stored.piece_sha256 != sha256 || stored.index.range != piece.range)
            findings_.fault(FaultKind::mismatch, key,
                            "describes another piece; it can be made again", id.member);
        for (const model::UnreadLog& hole : stored.index.unread)
            findings_.note(
                fmt::format("member {}: log from {} to {} is stored whole, but the program that "
                            "stored it could "
                            "not read it ({}); `tidemark reindex` by a newer program may",
                            id.member, model::format_offset(hole.from),
                            model::format_offset(hole.to), hole.why));
    } catch (const Error& error) {
        if (error.code() != Code::failed && error.code() != Code::repository_newer) throw;
        findings_.fault(FaultKind::unreadable, key,
                        fmt::format("{}; it can be made again", error.what()), id.member);
    }
}

void Collector::overlap(const model::MemberId& id, const LogPiece& a, const LogPiece& b)
{
    model::Offset from = std::max(a.range.from, b.range.from);
    model::Offset to = std::min(a.range.to, b.range.to);
    tasks_.push_back(
        {b.key, id.member, 0, [this, id, a, b, from, to] {
             PieceReader one{storage_, id, {.range = a.range, .lease = a.lease}};
             PieceReader other{storage_, id, {.range = b.range, .lease = b.lease}};
             base::Bytes left(kPieceFrame);
             base::Bytes right(kPieceFrame);
             for (model::Offset at = from; at < to; at += left.size()) {
                 left.resize(std::min<model::Offset>(kPieceFrame, to - at));
                 right.resize(left.size());
                 one.read(at, left);
                 other.read(at, right);
                 if (left != right)
                     blame(fmt::format("holds other bytes than {} where they overlap", a.key));
             }
         }});
}

void Collector::pieces(const model::MemberId& id, MemberView& member)
{
    std::map<std::string, model::PieceRef> named;
    for (const StoredSet& set : view_.sets) {
        auto part = set.value.members.find(id.member);
        if (part == set.value.members.end()) continue;
        for (const model::PieceRef& ref : part->second.pieces)
            named.emplace(ref.object.key, ref);
    }
    std::vector<model::LogRange> joined;
    for (const model::PieceRef& ref : member.joined) {
        named.insert_or_assign(ref.object.key, ref);
        joined.push_back(ref.range);
    }
    const LogPiece* before = nullptr;
    for (const LogPiece& one : member.log.pieces) {
        auto ref = named.find(one.key);
        if (ref == named.end())
            piece(id, one, std::nullopt);
        else
            piece(id, one, ref->second.object.sha256);
        if (ref != named.end() && ref->second.object.size != one.size)
            findings_.fault(
                FaultKind::damaged, one.key,
                fmt::format("has {} bytes and should have {}", one.size, ref->second.object.size),
                id.member);
        bool overlaps = before != nullptr && before->range.epoch == one.range.epoch &&
                        one.range.from < before->range.to;
        if (overlaps && options_.data) overlap(id, *before, one);
        if (!overlaps || one.range.to > before->range.to) before = &one;
        named.erase(one.key);
    }
    for (const auto& [key, ref] : named) {
        // A joined piece stands for those it was made of, not for itself.
        bool itself = std::any_of(member.joined.begin(), member.joined.end(),
                                  [k = &key](const auto& one) { return one.object.key == *k; });
        if (is_accounted_for(gone_, id.member, ref.range,
                             itself ? std::vector<model::LogRange>{} : joined))
            continue;
        auto name = parse_key(key);
        findings_.count(1);
        findings_.fault(FaultKind::missing, key, "is missing", id.member);
        if (name && name->kind == KeyKind::piece)
            member.log.add({.range = ref.range,
                            .lease = name->lease,
                            .size = ref.object.size,
                            .indexed = false,
                            .key = key});
    }
}

void Collector::histories(const model::MemberId& id, MemberView& member)
{
    for (const StoredMark& mark : view_.marks) {
        for (const model::MarkMember& line : mark.value.members) {
            if (line.name != id.member || line.history.current() == 1) continue;
            model::Epoch epoch = line.history.current();
            std::string key = history_key(id, epoch);
            auto stored = member.histories.find(epoch);
            if (stored == member.histories.end())
                findings_.fault(FaultKind::missing, key, "is missing", id.member);
            else if (stored->second != line.history)
                findings_.fault(
                    FaultKind::mismatch, key,
                    fmt::format("is not the history that mark {} names", mark_id(mark.number())),
                    id.member);
            member.histories.insert_or_assign(epoch, line.history);
        }
    }
}

void Collector::leftovers(const std::string& name, const MemberView& member)
{
    std::uint64_t bytes = 0;
    std::size_t count = 0;
    for (const auto& [key, size] : member.packs) {
        if (referred_.contains(key)) continue;
        ++count;
        bytes += size;
    }
    if (count > 0)
        findings_.note(fmt::format("member {}: {} objects ({}) of backups that did not end or are "
                                   "still running",
                                   name, count, base::format_size(bytes)));
}

void Collector::member(const std::string& name)
{
    MemberView& member = view_.members.at(name);
    const model::MemberId id = member.log.id;
    for (const StoredManifest& one : member.backups)
        backup(id, member, one);
    leftovers(name, member);
    pieces(id, member);
    histories(id, member);
}

/// Reads one object; what is wrong with it is a finding, what keeps us from reading is thrown.
void run_task(const Task& task, Findings& findings)
{
    try {
        task.read();
    } catch (const Error& error) {
        if (error.code() != Code::not_restorable && error.code() != Code::failed &&
            error.code() != Code::repository_newer)
            throw;
        findings.fault(FaultKind::damaged, task.key, error.message(), task.member);
    }
}

} // namespace

std::uint64_t check_data(store::Storage& storage, RepositoryView& view,
                         const model::Tombstone& gone, Findings& findings,
                         const VerifyOptions& options, const VerifyProgress& progress,
                         std::stop_token stop)
{
    Collector collector{storage, view, gone, findings, options};
    for (const auto& [name, member] : view.members)
        collector.member(name);
    std::vector<Task> tasks = collector.take();
    std::uint64_t total = 0;
    for (const Task& task : tasks)
        total += task.bytes;
    std::atomic<std::uint64_t> done{0};
    std::atomic<std::size_t> next{0};
    base::TaskGroup group{stop};
    for (unsigned worker = 0; worker < std::max(1u, options.workers); ++worker)
        group.add([&](std::stop_token stopped) {
            for (std::size_t i = next++; i < tasks.size() && !stopped.stop_requested();
                 i = next++) {
                run_task(tasks[i], findings);
                std::uint64_t now = done += tasks[i].bytes;
                if (progress) progress(now, total);
            }
        });
    group.wait();
    if (stop.stop_requested()) throw Error{Code::cancelled, "verify was stopped"};
    collector.compare_frames();
    return done;
}

} // namespace tidemark::repo
