#include "engine/fake/fake_session.h"

#include "base/check.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <thread>

namespace tidemark::engine::fake {

using base::Code;
using base::Error;

namespace {

constexpr std::size_t kExtent = std::size_t{1} << 20;

std::vector<std::string_view> split(std::string_view text, char by)
{
    std::vector<std::string_view> out;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(by), text.size());
        out.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out;
}

std::int64_t number(std::string_view text)
{
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size())
        throw Error{Code::failed, fmt::format("'{}' in {} is no number", text, kPreparedFile)};
    return value;
}

} // namespace

std::string format_prepared(const std::vector<PreparedBranch>& branches)
{
    std::string out;
    for (const PreparedBranch& b : branches)
        out += fmt::format("{}\t{}\t{}\t{}\t{}\t{}\t{}\n", b.xid, b.gid,
                           b.prepared.time_since_epoch().count(), b.owner, b.database, b.owner_oid,
                           b.database_oid);
    return out;
}

std::vector<PreparedBranch> parse_prepared(std::string_view text)
{
    std::vector<PreparedBranch> out;
    for (std::string_view line : split(text, '\n')) {
        const auto cells = split(line, '\t');
        if (cells.size() != 7)
            throw Error{Code::failed, fmt::format("{} is corrupted", kPreparedFile)};
        out.push_back({.xid = static_cast<std::uint32_t>(number(cells[0])),
                       .gid = std::string(cells[1]),
                       .prepared = base::Time{base::Duration{number(cells[2])}},
                       .owner = std::string(cells[3]),
                       .database = std::string(cells[4]),
                       .owner_oid = static_cast<std::uint32_t>(number(cells[5])),
                       .database_oid = static_cast<std::uint32_t>(number(cells[6]))});
    }
    return out;
}

FakeBackup::FakeBackup(std::shared_ptr<FakeServer> server, const BackupOptions& options)
    : server_(std::move(server)), options_(options)
{
    const std::lock_guard lock(server_->mutex_);
    begin_.start = {server_->current().epoch, server_->insert()};
    begin_.checkpoint = begin_.start;
    server_->append({.kind = RecordKind::checkpoint, .text = options.label});
    server_->flushed_ = server_->insert();
    server_->changed_.notify_all();
    for (const auto& [gid, branch] : server_->prepared_)
        prepared_.push_back(branch);
    for (const auto& [path, content] : server_->files_)
        begin_.estimated_bytes += content.size();
}

BackupFacts FakeBackup::facts()
{
    BackupFacts facts;
    facts.bootstrap_superuser = "postgres";
    facts.databases = {{5, "postgres"}};
    for (const PreparedBranch& branch : prepared_)
        facts.databases[branch.database_oid] = branch.database;
    facts.settings = {{"max_prepared_transactions", "100"}};
    const std::lock_guard lock(server_->mutex_);
    facts.captured = server_->captured_;
    return facts;
}

void FakeBackup::copy(BackupSink& sink, std::atomic<std::uint64_t>& progress, std::stop_token stop)
{
    std::map<std::string, base::Bytes> files;
    {
        const std::lock_guard lock(server_->mutex_);
        files = server_->files_;
    }
    files[kPreparedFile] = base::to_bytes(format_prepared(prepared_));
    const std::uint32_t workers = std::max(options_.workers, 1U);
    std::uint32_t index = 0;
    for (const auto& [path, content] : files) {
        for (std::size_t at = 0; at < content.size(); at += kExtent) {
            server_->enter("copy", std::chrono::steady_clock::time_point::max(), stop);
            if (stop.stop_requested()) throw Error{Code::cancelled, "stopped"};
            const auto part =
                base::ByteView(content).subspan(at, std::min(kExtent, content.size() - at));
            // Each worker is a thread of its own, as with a real server.
            std::exception_ptr error;
            std::jthread([&] {
                try {
                    sink.extent(index % workers, index, at, part);
                } catch (...) {
                    error = std::current_exception();
                }
            }).join();
            if (error) std::rethrow_exception(error);
            progress += part.size();
        }
        sink.file({.index = index++,
                   .path = path,
                   .link_target = {},
                   .modified = server_->now(),
                   .size = content.size()});
    }
    copied_ = true;
}

BackupEnd FakeBackup::finish()
{
    server_->enter("finish_backup", std::chrono::steady_clock::time_point::max(), {});
    if (!copied_) throw Error{Code::failed, "the backup was not copied"};
    const std::lock_guard lock(server_->mutex_);
    server_->append({.kind = RecordKind::checkpoint, .text = "backup end"});
    server_->flushed_ = server_->insert();
    server_->changed_.notify_all();
    BackupEnd end;
    end.stop = {server_->current().epoch, server_->insert()};
    end.backup_label = fmt::format("START {}\nLABEL {}\n", begin_.start.offset, options_.label);
    for (const PreparedBranch& branch : prepared_)
        end.prepared_xids.push_back(branch.xid);
    return end;
}

} // namespace tidemark::engine::fake
