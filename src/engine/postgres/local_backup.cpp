#include "engine/postgres/local_backup.h"

#include "base/check.h"
#include "base/error.h"
#include "engine/postgres/backup_control.h"
#include "engine/postgres/cluster_walk.h"
#include "engine/postgres/control_file.h"
#include "engine/postgres/file_copier.h"

#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <optional>
#include <sys/stat.h>
#include <thread>

namespace tidemark::engine::postgres {

namespace {

using namespace std::chrono_literals;
using base::Code;
using base::Error;

/// The control file of a running server: rewritten in place, so a torn reading is repeated.
base::Bytes read_control(const std::filesystem::path& data_dir)
{
    const auto path = data_dir / kControlPath;
    base::Fd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!file) throw unreadable("open", path, errno);
    for (int attempt = 0;; ++attempt) {
        base::Bytes bytes(kControlFileSize);
        bytes.resize(base::pread_full(file.get(), bytes, 0, path.native()));
        try {
            parse_control_file(bytes);
            return bytes;
        } catch (const Error& error) {
            if (!error.transient() || attempt == 50) throw;
        }
        std::this_thread::sleep_for(2ms);
    }
}

class LocalBackup final : public BackupSource {
public:
    LocalBackup(const MemberConfig& member, const BackupOptions& options)
        : data_dir_(*member.data_dir), options_(options), control_(member),
          throttle_({.bytes_per_second = options.bytes_per_second})
    {
        CHECK(options.workers > 0);
        check_identity();
        begin_ = control_.start(options);
        check_liveness();
        auto control = parse_control_file(read_control(data_dir_));
        auto major = control_.server().version_num / 10000;
        walk_ = walk_cluster(data_dir_, fmt::format("PG_{}_{}", major, control.catalog_version));
        begin_.estimated_bytes = walk_.bytes + kControlFileSize;
        verifier_.emplace(PageVerifier::Options{
            .start = begin_.start.offset,
            .segment_pages = control_.server().segment_pages,
            .log_end = [this] { return control_.log_end(); },
            .pause = [](std::chrono::milliseconds time) { std::this_thread::sleep_for(time); }});
    }

    const BackupBegin& begin() const override { return begin_; }
    BackupFacts facts() override { return control_.facts(true); }

    void copy(BackupSink& sink, std::atomic<std::uint64_t>& progress, std::stop_token stop) override
    {
        CHECK(!copied_);
        std::uint32_t index = 0;
        for (auto& folder : walk_.folders) {
            folder.index = index++;
            sink.file(folder);
        }
        for (auto& file : walk_.files)
            file.index = index++;
        FileCopier copier{
            walk_, *verifier_, throttle_, {options_.workers, control_.server().page_checksums}};
        copier.run(sink, progress, stop);
        prepared_xids_ = copier.prepared_xids();
        copy_control(sink, index, progress);
        copied_ = true;
    }

    BackupEnd finish() override
    {
        CHECK(copied_);
        auto stopped = control_.stop();
        BackupEnd end;
        end.stop = stopped.stop;
        end.backup_label = std::move(stopped.backup_label);
        end.tablespace_map = std::move(stopped.tablespace_map);
        end.damaged = verifier_->damaged();
        end.pages_verified = verifier_->verified();
        end.pages_reread = verifier_->reread();
        end.pages_damaged = verifier_->damaged_count();
        end.prepared_xids = prepared_xids_;
        return end;
    }

private:
    void check_identity()
    {
        // Another directory is named, or its disk is not mounted. What is there and may not be read
        // is told of by the reading.
        for (const auto& path : {data_dir_, data_dir_ / kControlPath}) {
            struct stat info = {};
            if (::stat(path.c_str(), &info) == 0) continue;
            auto why = errno;
            if (path != data_dir_ && why != ENOENT) break;
            auto error =
                base::system_error(fmt::format("cannot examine data_dir {}", path.native()), why,
                                   Code::member_not_ready);
            throw Error{error.code(),
                        error.message(),
                        {.hint = "correct data_dir, or leave it out to read over the connection"}};
        }
        auto control = parse_control_file(read_control(data_dir_));
        if (control.system_id != control_.server().system_id) {
            throw Error{Code::identity_mismatch,
                        fmt::format("data_dir {} holds system {}, the server at the url is {}",
                                    data_dir_.native(), control.system_id,
                                    control_.server().system_id),
                        {.hint = "let url and data_dir name the same server"}};
        }
    }

    /// A copy of the data directory has the same system identifier, but only the live one has
    /// seen the checkpoint that the backup's start just made.
    void check_liveness()
    {
        auto control = parse_control_file(read_control(data_dir_));
        if (control.redo.offset >= begin_.start.offset &&
            control.redo.epoch == begin_.start.epoch &&
            (control.state == ClusterState::in_production) != control_.server().in_recovery)
            return;
        throw Error{
            Code::identity_mismatch,
            fmt::format("data_dir {} is not the directory that the server runs on: its last "
                        "checkpoint {} is older than the one just made at {}",
                        data_dir_.native(), model::format_offset(control.redo.offset),
                        model::format_offset(begin_.start.offset)),
            {.hint = "let data_dir name the running server's directory, not a copy"}};
    }

    /// Last of all, so that its checkpoint is not older than any file.
    void copy_control(BackupSink& sink, std::uint32_t index, std::atomic<std::uint64_t>& progress)
    {
        auto bytes = read_control(data_dir_);
        model::FileEntry entry;
        entry.index = index;
        entry.path = kControlPath;
        entry.mode = 0600;
        entry.size = bytes.size();
        struct stat info = {};
        if (::stat((data_dir_ / kControlPath).c_str(), &info) == 0) {
            entry.mode = info.st_mode & 07777U;
            entry.modified = base::Time{std::chrono::seconds{info.st_mtim.tv_sec}};
        }
        sink.extent(0, index, 0, bytes);
        sink.file(entry);
        progress.fetch_add(bytes.size(), std::memory_order_relaxed);
    }

    std::filesystem::path data_dir_;
    BackupOptions options_;
    BackupControl control_;
    stream::Throttle throttle_;
    BackupBegin begin_;
    Walk walk_;
    std::optional<PageVerifier> verifier_;
    std::vector<std::uint32_t> prepared_xids_;
    bool copied_ = false;
};

} // namespace

std::unique_ptr<BackupSource> begin_local_backup(const MemberConfig& member,
                                                 const BackupOptions& options)
{
    return std::make_unique<LocalBackup>(member, options);
}

} // namespace tidemark::engine::postgres
