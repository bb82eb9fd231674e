#include "engine/postgres/wire_backup.h"

#include "base/check.h"
#include "base/error.h"
#include "base/queue.h"
#include "base/task_group.h"
#include "engine/postgres/backup_control.h"
#include "engine/postgres/backup_rules.h"
#include "engine/postgres/base_backup_stream.h"
#include "engine/postgres/control_file.h"
#include "engine/postgres/file_copier.h"
#include "engine/postgres/page_verifier.h"
#include "engine/postgres/tar_reader.h"
#include "stream/page_checksum.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <map>
#include <thread>

namespace tidemark::engine::postgres {

namespace {

using namespace std::chrono_literals;
using base::Code;
using base::Error;
using model::FileKind;

constexpr std::size_t kLabelLimit = 1U << 20;

/// A stretch of one file on its way from the reader to a worker.
struct Chunk {
    std::shared_ptr<const model::FileEntry> file;
    std::uint64_t offset = 0;
    base::Bytes buffer;
    std::size_t size = 0;
};

/// Cuts the tar streams into chunks. Blocks while all buffers are with the workers.
class Chunker final : public TarHandler {
public:
    using Queue = base::BoundedQueue<Chunk>;
    using Buffers = base::BoundedQueue<base::Bytes>;

    Chunker(BackupSink& sink, Queue& queue, Buffers& buffers, std::stop_token stop)
        : sink_(sink), queue_(queue), buffers_(buffers), stop_(std::move(stop))
    {
    }

    void begin(const SentTablespace& space)
    {
        prefix_.clear();
        if (space.oid.empty()) return;
        if (!folders_announced_) {
            announce_folder("pg_tblspc", 0700, {});
            folders_announced_ = true;
        }
        auto path = "pg_tblspc/" + space.oid;
        prefix_ = path + "/";
        // Tablespaces "in place" (for tests of the server; sent from 16 on) are plain folders.
        if (!space.location.starts_with('/')) return announce_folder(path, 0700, {});
        model::FileEntry link;
        link.index = next_index_++;
        link.kind = FileKind::tablespace_link;
        link.path = path;
        link.link_target = space.location;
        link.mode = 0700;
        sink_.file(link);
    }

    void entry(const TarEntry& entry) override
    {
        text_ = nullptr;
        file_ = nullptr;
        auto path = prefix_ + entry.path;
        if (path == "backup_label") text_ = &backup_label;
        if (path == "tablespace_map") text_ = &tablespace_map;
        if (text_ != nullptr || entry.type == TarEntry::Type::symlink) return;
        if (entry.type == TarEntry::Type::directory) {
            if (path == "pg_tblspc" && folders_announced_) return;
            return announce_folder(path, entry.mode, entry.modified);
        }
        auto file = std::make_shared<model::FileEntry>();
        file->index = next_index_++;
        file->path = path;
        file->mode = entry.mode;
        file->modified = entry.modified;
        file->size = entry.size;
        sink_.file(*file);
        if (path.starts_with(kTwophase)) {
            auto xid = parse_twophase_name(std::string_view(path).substr(kTwophase.size()));
            if (xid) prepared_xids.push_back(*xid);
        }
        file_ = std::move(file);
    }

    void data(std::uint64_t offset, base::ByteView bytes) override
    {
        if (text_ != nullptr) {
            if (text_->size() + bytes.size() > kLabelLimit)
                throw Error{Code::failed, "the backup label is too large"};
            text_->append(base::as_text(bytes));
            return;
        }
        CHECK(file_ != nullptr);
        while (!bytes.empty()) {
            if (chunk_.size == 0) start_chunk(offset);
            auto count = std::min(bytes.size(), kExtentSize - chunk_.size);
            std::memcpy(chunk_.buffer.data() + chunk_.size, bytes.data(), count);
            chunk_.size += count;
            offset += count;
            bytes = bytes.subspan(count);
            if (chunk_.size == kExtentSize) send_chunk();
        }
    }

    void end_of_entry() override
    {
        if (chunk_.size != 0) send_chunk();
    }

    std::string backup_label;
    std::string tablespace_map;
    std::vector<std::uint32_t> prepared_xids;

private:
    void announce_folder(const std::string& path, std::uint32_t mode, base::Time modified)
    {
        model::FileEntry folder;
        folder.index = next_index_++;
        folder.kind = FileKind::directory;
        folder.path = path;
        folder.mode = mode;
        folder.modified = modified;
        sink_.file(folder);
    }

    void start_chunk(std::uint64_t offset)
    {
        auto buffer = buffers_.pop(stop_);
        if (!buffer) throw_cancelled();
        chunk_.file = file_;
        chunk_.offset = offset;
        chunk_.buffer = std::move(*buffer);
    }

    void send_chunk()
    {
        if (!queue_.push(std::move(chunk_), stop_)) throw_cancelled();
        chunk_ = {};
    }

    BackupSink& sink_;
    Queue& queue_;
    Buffers& buffers_;
    std::stop_token stop_;
    std::string prefix_;
    std::string* text_ = nullptr;
    std::shared_ptr<const model::FileEntry> file_;
    Chunk chunk_;
    std::uint32_t next_index_ = 0;
    bool folders_announced_ = false;
};

class WireBackup final : public BackupSource {
public:
    WireBackup(const MemberConfig& member, const BackupOptions& options)
        : options_(options), control_(member), spaces_(control_.tablespaces()),
          stream_(member.url, options),
          verifier_({.start = stream_.start().offset,
                     .segment_pages = control_.server().segment_pages,
                     .log_end = [this] { return control_.log_end(); },
                     .pause = [](auto time) { std::this_thread::sleep_for(time); }})
    {
        CHECK(options.workers > 0);
        if (stream_.system_id() != control_.server().system_id) {
            throw Error{Code::identity_mismatch,
                        "two connections to the member's url reached different servers",
                        {.hint = "let the url name one server"}};
        }
        require_all_tablespaces();
        begin_.start = stream_.start();
        begin_.over_wire = true;
        begin_.estimated_bytes = stream_.estimated_bytes();
    }

    const BackupBegin& begin() const override { return begin_; }
    BackupFacts facts() override { return control_.facts(false); }

    void copy(BackupSink& sink, std::atomic<std::uint64_t>& progress, std::stop_token stop) override
    {
        CHECK(!copied_);
        std::size_t buffers = 2 * std::size_t{options_.workers} + 1;
        Chunker::Queue queue{buffers};
        Chunker::Buffers free{buffers};
        for (std::size_t i = 0; i < buffers; ++i)
            free.push(base::Bytes(kExtentSize));

        base::TaskGroup group{stop};
        group.add([&](std::stop_token own) { read(sink, queue, free, own); });
        for (std::uint32_t worker = 0; worker < options_.workers; ++worker) {
            group.add([&, worker](std::stop_token own) {
                while (auto chunk = queue.pop(own)) {
                    auto bytes = base::ByteSpan(chunk->buffer).first(chunk->size);
                    check(*chunk->file, chunk->offset, bytes, own);
                    if (!stream::is_zero(bytes)) {
                        sink.extent(worker, chunk->file->index, chunk->offset, bytes);
                    }
                    progress.fetch_add(chunk->size, std::memory_order_relaxed);
                    free.push(std::move(chunk->buffer), own);
                }
            });
        }
        group.wait();
        if (stop.stop_requested()) throw_cancelled();
        if (!control_seen_) throw Error{Code::failed, "the server's base backup lacks pg_control"};
        copied_ = true;
    }

    BackupEnd finish() override
    {
        CHECK(copied_);
        end_.stop = stream_.finish();
        end_.damaged = verifier_.damaged();
        end_.pages_verified = verifier_.verified();
        end_.pages_reread = verifier_.reread();
        end_.pages_damaged = verifier_.damaged_count();
        return end_;
    }

private:
    /// Up to 15 a server sends nothing of tablespaces "in place". What was made after the start the
    /// log holds, and what was dropped before it is not missed.
    void require_all_tablespaces()
    {
        for (const auto& sent : stream_.tablespaces())
            spaces_.erase(sent.oid);
        if (spaces_.empty()) return;
        auto now = control_.tablespaces();
        for (const auto& [oid, name] : spaces_) {
            if (!now.contains(oid)) continue;
            throw Error{Code::member_not_ready,
                        fmt::format("tablespace {} ({}) lies in place, in the data directory, and "
                                    "this server does not send such over the wire",
                                    oid, name),
                        {.hint = "give the member's data_dir, so that its files are read, or move "
                                 "what it holds into another tablespace and drop it"}};
        }
    }

    void read(BackupSink& sink, Chunker::Queue& queue, Chunker::Buffers& free, std::stop_token stop)
    {
        Chunker chunker{sink, queue, free, stop};
        std::optional<TarReader> tar;
        stream_.receive(
            [&](const SentTablespace& space) {
                if (tar) tar->finish();
                tar.emplace(chunker);
                chunker.begin(space);
            },
            [&](base::ByteView bytes) { tar->feed(bytes); }, stop);
        if (tar) tar->finish();
        queue.close();
        end_.backup_label = std::move(chunker.backup_label);
        end_.tablespace_map = std::move(chunker.tablespace_map);
        end_.prepared_xids = std::move(chunker.prepared_xids);
        if (end_.backup_label.empty()) {
            throw Error{Code::failed, "the server's base backup lacks backup_label"};
        }
    }

    void check(const model::FileEntry& file, std::uint64_t offset, base::ByteSpan bytes,
               const std::stop_token& stop)
    {
        if (file.path == kControlPath) {
            control_seen_ = true;
            require_whole(file, bytes, stop, [](base::ByteView all) {
                try {
                    parse_control_file(all);
                    return true;
                } catch (const Error& error) {
                    if (!error.transient()) throw;
                    return false;
                }
            });
        } else if (file.path.starts_with(kTwophase) && file.size == bytes.size()) {
            require_whole(file, bytes, stop, twophase_is_whole);
        } else if (control_.server().page_checksums && has_page_checksums(file.path)) {
            verifier_.verify(
                file.path, offset, bytes,
                [&](std::uint64_t at, base::ByteSpan into) -> std::optional<std::size_t> {
                    auto fresh = control_.read_file(file.path, at, into.size());
                    if (!fresh || fresh->size() > into.size()) return std::nullopt;
                    std::ranges::copy(*fresh, into.begin()); // nothing when the file is gone
                    return fresh->size();
                },
                "a write under way would explain it, and replay would mend it; grant "
                "pg_read_binary_file to have such pages read again");
        }
    }

    /// Small files that the server rewrites in place while it sends them.
    template <typename Whole>
    void require_whole(const model::FileEntry& file, base::ByteSpan bytes,
                       const std::stop_token& stop, Whole whole)
    {
        for (int attempt = 0; !whole(bytes); ++attempt) {
            auto fresh = control_.read_file(file.path, 0, bytes.size());
            if (!fresh || attempt == 20 || stop.stop_requested()) {
                throw Error{
                    Code::failed,
                    fmt::format("{} arrived half written and could not be read again", file.path),
                    {.hint = "grant pg_read_binary_file, or back up again", .transient = true}};
            }
            if (fresh->size() == bytes.size()) {
                std::memcpy(bytes.data(), fresh->data(), fresh->size());
            }
        }
    }

    BackupOptions options_;
    BackupControl control_;
    std::map<std::string, std::string> spaces_; ///< before the start
    BaseBackupStream stream_;
    PageVerifier verifier_;
    BackupBegin begin_;
    BackupEnd end_;
    std::atomic<bool> control_seen_{false};
    bool copied_ = false;
};

} // namespace

std::unique_ptr<BackupSource> begin_wire_backup(const MemberConfig& member,
                                                const BackupOptions& options)
{
    return std::make_unique<WireBackup>(member, options);
}

} // namespace tidemark::engine::postgres
