#include "support/folder_sink.h"

#include "app/demo/lab_folder.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/format.h>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

namespace tidemark::support {

namespace fs = std::filesystem;
using model::FileKind;

FolderSink::FolderSink(fs::path scratch) : scratch_(std::move(scratch))
{
    fs::create_directories(scratch_);
}

fs::path FolderSink::scratch_file(std::uint32_t index) const
{
    return scratch_ / std::to_string(index);
}

void FolderSink::complain(std::string what)
{
    if (complaint_.empty()) complaint_ = std::move(what);
}

void FolderSink::file(const model::FileEntry& entry)
{
    std::lock_guard lock{mutex_};
    for (const auto& [path, other] : entries_) {
        if (other.index == entry.index) complain(fmt::format("index {} twice", entry.index));
    }
    if (!entries_.emplace(entry.path, entry).second) complain(entry.path + " announced twice");
}

void FolderSink::extent(std::uint32_t worker, std::uint32_t index, std::uint64_t offset,
                        base::ByteView bytes)
{
    {
        std::lock_guard lock{mutex_};
        if (bytes.empty() || bytes.size() > (1U << 20)) complain("an extent of odd size");
        auto [last, fresh] = last_.try_emplace({worker, index}, offset);
        if (!fresh && last->second >= offset) complain(fmt::format("file {} goes back", index));
        last->second = offset;
        bytes_ += bytes.size();
    }
    // Opened each time: a data directory has more files than a plain user may have open.
    auto file = base::open_file(scratch_file(index), O_RDWR | O_CREAT);
    base::pwrite_full(file.get(), bytes, offset, "scratch file");
}

std::string FolderSink::place(const fs::path& data, const fs::path& tablespaces)
{
    std::string map;
    std::map<std::string, fs::path> links;
    for (const auto& [path, entry] : entries_) {
        if (entry.kind != FileKind::tablespace_link) continue;
        auto oid = path.substr(path.find('/') + 1);
        links[path] = tablespaces / oid;
        map += fmt::format("{} {}\n", oid, (tablespaces / oid).native());
    }
    auto target = [&](const std::string& path) {
        for (const auto& [link, folder] : links) {
            if (path == link) return folder;
            if (path.starts_with(link + "/")) return folder / path.substr(link.size() + 1);
        }
        return data / path;
    };
    fs::create_directories(data);
    for (const auto& [path, entry] : entries_) {
        if (entry.kind != FileKind::regular) fs::create_directories(target(path));
    }
    for (const auto& [path, entry] : entries_) {
        auto to = target(path);
        if (entry.kind == FileKind::regular) {
            auto file = base::open_file(scratch_file(entry.index), O_RDWR | O_CREAT);
            if (::ftruncate(file.get(), static_cast<off_t>(entry.size)) != 0) std::abort();
            fs::rename(scratch_file(entry.index), to);
        }
        ::chmod(to.c_str(), entry.mode);
        app::give_to_lab_user(to);
    }
    for (const auto& folder : {data, tablespaces}) {
        if (!fs::exists(folder)) continue;
        ::chmod(folder.c_str(), 0700);
        app::give_to_lab_user(folder);
    }
    return map;
}

engine::BackupEnd take_backup(engine::BackupSource& source, engine::BackupSink& sink)
{
    std::atomic<std::uint64_t> progress{0};
    source.copy(sink, progress, {});
    return source.finish();
}

} // namespace tidemark::support
