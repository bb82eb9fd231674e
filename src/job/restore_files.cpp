#include "job/restore_files.h"

#include "base/error.h"
#include "base/queue.h"
#include "base/task_group.h"
#include "job/target_writer.h"
#include "repo/layout.h"
#include "repo/page_map.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <fmt/format.h>
#include <unordered_map>
#include <vector>

namespace tidemark::job {

using base::Code;
using base::Error;

namespace {

/// Frames waiting for a worker; each is a few kilobytes of extents, its bytes are read by the
/// worker.
constexpr std::size_t kQueuedFrames = 64;
/// A worker that waits for the disk leaves its core to another one.
constexpr std::uint32_t kWorkersPerCore = 2;
/// Files at least this long get their blocks before they are written.
constexpr std::uint64_t kLeastAllocated = 1U << 20;
/// What allocating may take for zeros that no extent covers, in all: the check of free space does
/// not count them.
constexpr std::uint64_t kAllocatedZeros = 64U << 20;
constexpr std::string_view kTablespaces = "pg_tblspc/";

/// A file's place: which tree, and the path in it.
struct Place {
    const TargetTree* tree = nullptr;
    std::string path;
};

struct Task {
    repo::FrameRef frame;
    std::vector<repo::Extent> extents;
};

/// The data directory and the tablespaces, each a tree of its own.
class Trees {
public:
    explicit Trees(const RestoreFilesOptions& options)
        : data_(options.data_dir, options.owner), links_(options.tablespaces)
    {
        for (const auto& [oid, path] : options.tablespaces)
            spaces_.try_emplace(oid, path, options.owner);
    }

    /// "pg_tblspc/16471/PG_15_..." lies in the tablespace's own folder.
    Place place(const std::string& path) const
    {
        if (!path.starts_with(kTablespaces)) return {&data_, path};
        auto rest = std::string_view(path).substr(kTablespaces.size());
        auto slash = rest.find('/');
        if (slash == std::string_view::npos) return {&data_, path};
        auto digits = rest.substr(0, slash);
        std::uint32_t oid = 0;
        auto [end, error] = std::from_chars(digits.begin(), digits.end(), oid);
        auto found = spaces_.find(oid);
        if (error != std::errc{} || end != digits.end() || found == spaces_.end()) {
            throw Error{
                Code::not_restorable,
                fmt::format("the backup holds {}, which belongs to no tablespace it names", path)};
        }
        return {&found->second, std::string(rest.substr(slash + 1))};
    }

    void link(const std::string& path) const
    {
        auto rest = std::string_view(path).substr(std::min(path.size(), kTablespaces.size()));
        std::uint32_t oid = 0;
        auto [end, error] = std::from_chars(rest.begin(), rest.end(), oid);
        auto found = links_.find(oid);
        if (error != std::errc{} || end != rest.end() || found == links_.end()) {
            throw Error{
                Code::not_restorable,
                fmt::format("the backup holds the link {}, which is no tablespace it names", path)};
        }
        data_.make_link(path, found->second);
    }

    void sync() const
    {
        data_.sync();
        for (const auto& [oid, tree] : spaces_)
            tree.sync();
    }

private:
    TargetTree data_;
    std::map<std::uint32_t, TargetTree> spaces_;
    std::map<std::uint32_t, std::filesystem::path> links_;
};

/// First reading of the page map: folders and links. It is checked as a whole before any is made.
class Folders final : public repo::PageMapVisitor {
public:
    void file(const model::FileEntry& entry) override
    {
        if (entry.kind == model::FileKind::directory)
            folders_.push_back(entry);
        else if (entry.kind == model::FileKind::tablespace_link)
            links_.push_back(entry.path);
        else if (entry.size >= kLeastAllocated)
            long_.emplace(entry.index, 0);
    }

    /// Parents before children, whatever the order in the map.
    void create(const Trees& trees)
    {
        std::sort(folders_.begin(), folders_.end(),
                  [](const auto& a, const auto& b) { return a.path < b.path; });
        for (const auto& folder : folders_) {
            auto place = trees.place(folder.path);
            place.tree->make_folder(place.path, folder.mode);
        }
        for (const auto& link : links_)
            trees.link(link);
    }

    /// The bytes that extents cover, of each long file; to be counted.
    std::unordered_map<std::uint32_t, std::uint64_t> take_long() { return std::move(long_); }

private:
    std::vector<model::FileEntry> folders_;
    std::vector<std::string> links_;
    std::unordered_map<std::uint32_t, std::uint64_t> long_;
};

/// Second reading: files of the right size. There may be millions, so of each only its number,
/// its folder's number and its name stay in memory.
class Files final : public repo::PageMapVisitor {
public:
    Files(const Trees& trees, std::unordered_map<std::uint32_t, std::uint64_t> covered)
        : trees_(trees), covered_(std::move(covered))
    {
    }

    void file(const model::FileEntry& entry) override
    {
        if (entry.kind != model::FileKind::regular) return;
        auto place = trees_.place(entry.path);
        place.tree->make_file(place.path, entry.mode, entry.size);
        auto slash = place.path.rfind('/');
        auto length = slash == std::string::npos ? 0 : slash + 1;
        auto folder = folder_of({place.tree, place.path.substr(0, length)});
        places_.emplace(entry.index, Name{folder, place.path.substr(length)});
        if (covered_.contains(entry.index)) sizes_.emplace(entry.index, entry.size);
    }

    void frame(const repo::FrameRef&, std::span<const repo::Extent> extents) override
    {
        for (const auto& extent : extents) {
            if (auto found = covered_.find(extent.file); found != covered_.end())
                found->second += extent.length;
        }
    }

    /// Once all were made: gives the long ones their blocks.
    void allocate()
    {
        auto zeros_left = kAllocatedZeros;
        for (const auto& [index, size] : sizes_) {
            auto zeros = size - std::min(size, covered_[index]);
            if (zeros > zeros_left) continue;
            zeros_left -= zeros;
            auto place = place_of(index);
            place.tree->allocate(place.path, size);
        }
        sizes_ = {};
        covered_ = {};
    }

    Place place_of(std::uint32_t index) const
    {
        const auto& name = places_.at(index);
        const auto& folder = folders_[name.folder];
        return {folder.tree, folder.path + name.name};
    }

private:
    struct Name {
        std::uint32_t folder = 0;
        std::string name;
    };

    std::uint32_t folder_of(Place folder)
    {
        auto [found, is_new] = numbers_.emplace(std::pair{folder.tree, folder.path},
                                                static_cast<std::uint32_t>(folders_.size()));
        if (is_new) folders_.push_back(std::move(folder));
        return found->second;
    }

    const Trees& trees_;
    std::unordered_map<std::uint32_t, std::uint64_t> covered_;
    std::unordered_map<std::uint32_t, std::uint64_t> sizes_;
    std::vector<Place> folders_; ///< with the '/' at their end
    std::map<std::pair<const TargetTree*, std::string>, std::uint32_t> numbers_;
    std::unordered_map<std::uint32_t, Name> places_;
};

/// Third reading: every frame becomes a task for the workers.
class Feeder final : public repo::PageMapVisitor {
public:
    Feeder(base::BoundedQueue<Task>& queue, std::stop_token stop)
        : queue_(queue), stop_(std::move(stop))
    {
    }

    void frame(const repo::FrameRef& frame, std::span<const repo::Extent> extents) override
    {
        if (!queue_.push({frame, {extents.begin(), extents.end()}}, stop_)) {
            throw Error{Code::cancelled, "stopped while writing files"};
        }
    }

private:
    base::BoundedQueue<Task>& queue_;
    std::stop_token stop_;
};

void write_frame(const Task& task, base::ByteView plain, const Files& files, TargetWriter& writer)
{
    for (const auto& extent : task.extents) {
        const auto place = files.place_of(extent.file);
        writer.write(*place.tree, place.path, plain.subspan(extent.plain_offset, extent.length),
                     extent.offset);
    }
}

} // namespace

RestoredFiles restore_files(store::Storage& storage, const repo::StoredManifest& manifest,
                            const RestoreFilesOptions& options,
                            const RestoreFilesProgress& progress, std::stop_token stop)
{
    const auto& backup = manifest.value;
    model::MemberId id{.group = backup.group, .member = backup.member};
    auto key = repo::parse_key(backup.page_map.key);
    if (!key)
        throw Error{Code::not_restorable,
                    "the manifest names an impossible page map: " + backup.page_map.key};
    auto read_map = [&](repo::PageMapVisitor& visitor) {
        return repo::read_page_map(storage, id, key->number, key->lease, visitor,
                                   backup.page_map.sha256);
    };
    Trees trees(options);
    Folders folders;
    auto info = read_map(folders);
    folders.create(trees);
    Files files(trees, folders.take_long());
    read_map(files);
    files.allocate();

    std::atomic<std::uint64_t> written{0};
    TargetWriter::Ability ability;
    base::BoundedQueue<Task> queue(kQueuedFrames);
    base::TaskGroup group(stop);
    for (std::uint32_t worker = 0; worker < options.workers * kWorkersPerCore; ++worker) {
        group.add([&](std::stop_token stopped) {
            repo::PackReader reader(storage, id);
            TargetWriter writer(ability);
            while (auto task = queue.pop(stopped)) {
                write_frame(*task, reader.read(task->frame), files, writer);
                progress.written(written += task->frame.plain_length);
            }
        });
    }
    group.add([&](std::stop_token stopped) {
        Feeder feeder(queue, stopped);
        read_map(feeder);
        queue.close();
    });
    group.wait();
    if (stop.stop_requested()) throw Error{Code::cancelled, "stopped while writing files"};
    progress.making_durable();
    trees.sync();
    return {.files = info.totals.files, .bytes = written};
}

} // namespace tidemark::job
