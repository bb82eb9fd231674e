#include "engine/postgres/full_disk.h"

#include "base/clock.h"
#include "base/fd.h"
#include "engine/postgres/control_file.h"
#include "engine/postgres/pq.h"
#include "engine/postgres/recovery_log.h"

#include <fmt/format.h>
#include <sys/statvfs.h>
#include <utility>

namespace tidemark::engine::postgres {

namespace {

namespace fs = std::filesystem;
using base::Code;
using base::Error;

/// A statement that was refused for what it asks; not one that met the disk (58), what the system
/// lacks (53) or an internal error (XX), as a file that cannot be written at a session's start is.
bool is_refused_statement(const Error& error)
{
    const auto* sql = dynamic_cast<const SqlError*>(&error);
    if (sql == nullptr || sql->sqlstate().empty()) return false;
    const auto kind = sql->sqlstate().substr(0, 2);
    return kind != "53" && kind != "57" && kind != "58" && kind != "XX";
}

/// Nothing but that it did not work.
bool is_unexplained(const Error& error, const std::optional<KnownReason>& known)
{
    const std::string_view said = error.what();
    // What the server sees of log for which there is no room.
    if (known && known->code == Code::not_restorable &&
        said.find("could not restore file") != said.npos)
        return true;
    return !known && (error.code() == Code::failed || error.code() == Code::member_unreachable) &&
           !is_refused_statement(error);
}

/// Where a restored server writes.
class Disks {
public:
    explicit Disks(const TargetConfig& config) : data_(config.dir), work_(config.work_dir) {}

    template <typename Step> auto judge(Step&& step) const
    {
        try {
            return step();
        } catch (const Error& error) {
            auto full = out_of_space_instead(error, {data_, work_}, segment_size());
            if (!full) throw;
            throw Error(std::move(*full));
        }
    }

private:
    /// What a server needs to go on.
    std::uint64_t segment_size() const
    {
        constexpr std::uint64_t kUsual = 16U << 20;
        try {
            return parse_control_file(base::read_file(data_ / kControlPath, kControlFileSize))
                .wal_segment_size;
        } catch (const Error&) {
            return kUsual;
        }
    }

    fs::path data_, work_;
};

class DiskMindingTarget final : public RestoreTarget {
public:
    DiskMindingTarget(std::unique_ptr<RestoreTarget> target, const TargetConfig& config)
        : target_(std::move(target)), disks_(config)
    {
    }

    void preflight() override { target_->preflight(); }
    void prepare(const RecoverySpec& spec) override
    {
        disks_.judge([&] { target_->prepare(spec); });
    }
    engine::Reached recover(const std::function<void(model::Offset)>& progress,
                            std::stop_token stop) override
    {
        return disks_.judge([&] { return target_->recover(progress, std::move(stop)); });
    }
    model::LogPosition promote(std::stop_token stop) override
    {
        return disks_.judge([&] { return target_->promote(std::move(stop)); });
    }
    void resume(std::stop_token stop) override
    {
        disks_.judge([&] { target_->resume(std::move(stop)); });
    }
    std::vector<PreparedBranch> prepared() override
    {
        return disks_.judge([&] { return target_->prepared(); });
    }
    void settle(const PreparedBranch& branch, bool commit) override
    {
        disks_.judge([&] { target_->settle(branch, commit); });
    }
    std::vector<std::string> warnings() override
    {
        return disks_.judge([&] { return target_->warnings(); });
    }
    ContentCheck check_content(unsigned workers, std::stop_token stop) override
    {
        return target_->check_content(workers, std::move(stop));
    }
    std::optional<std::string> ask(const std::string& database, const std::string& sql,
                                   std::stop_token stop) override
    {
        return target_->ask(database, sql, std::move(stop));
    }
    PageCheck check_pages(unsigned workers, std::stop_token stop) override
    {
        return target_->check_pages(workers, std::move(stop));
    }
    void check_hand_over(const HandOverOptions& options) override
    {
        target_->check_hand_over(options);
    }
    HandOver prepare_hand_over(const HandOverOptions& options, std::stop_token stop) override
    {
        return disks_.judge([&] { return target_->prepare_hand_over(options, std::move(stop)); });
    }
    void hand_over(HandOver& result, bool start) override
    {
        disks_.judge([&] { target_->hand_over(result, start); });
    }
    void take_back() override { target_->take_back(); }
    void stop() override { target_->stop(); }
    void clean_up() override { target_->clean_up(); }
    std::string private_conninfo() const override { return target_->private_conninfo(); }

private:
    std::unique_ptr<RestoreTarget> target_;
    Disks disks_;
};

} // namespace

std::optional<std::string> full_disk(const std::vector<fs::path>& places, std::uint64_t needed)
{
    for (const auto& place : places) {
        struct statvfs info = {};
        if (::statvfs(place.c_str(), &info) != 0) continue;
        const auto room = std::uint64_t{info.f_bavail} * info.f_frsize;
        const bool more_files = info.f_files == 0 || info.f_favail != 0; // 0: there is no limit
        if (room < needed || !more_files)
            return fmt::format("the disk of {} is full ({} free)", place.native(),
                               base::format_size(room));
    }
    return std::nullopt;
}

std::optional<Error> out_of_space_instead(const Error& error, const std::vector<fs::path>& places,
                                          std::uint64_t needed)
{
    if (error.code() == Code::out_of_space || error.code() == Code::cancelled) return std::nullopt;
    const auto known = known_reason(error.what());
    const bool said = known && known->code == Code::out_of_space;
    if (!said && !is_unexplained(error, known)) return std::nullopt;
    const auto full = full_disk(places, needed);
    if (!said && !full) return std::nullopt;
    Error out{Code::out_of_space,
              full ? fmt::format("{}: {}", *full, error.message()) : error.message(),
              {.hint = "free some space and run the same command again"}};
    for (const auto& where : error.context())
        out.add_context(where);
    return out;
}

std::unique_ptr<RestoreTarget> mind_full_disks(std::unique_ptr<RestoreTarget> target,
                                               const TargetConfig& config)
{
    return std::make_unique<DiskMindingTarget>(std::move(target), config);
}

} // namespace tidemark::engine::postgres
