#include "engine/postgres/base_backup.h"

#include "base/error.h"
#include "engine/postgres/local_backup.h"
#include "engine/postgres/standby_backup.h"
#include "engine/postgres/wire_backup.h"

namespace tidemark::engine::postgres {

namespace {

using base::Code;
using base::Error;

std::unique_ptr<BackupSource> begin_at_primary(const MemberConfig& member,
                                               const BackupOptions& options)
{
    return member.data_dir ? begin_local_backup(member, options)
                           : begin_wire_backup(member, options);
}

/// The primary's files, because the standby's cannot be had.
class InsteadOfStandby final : public BackupSource {
public:
    InsteadOfStandby(std::unique_ptr<BackupSource> source, const std::string& why)
        : source_(std::move(source)), begin_(source_->begin())
    {
        begin_.instead = "its files are read from the primary instead of backup_from: " + why;
    }
    const BackupBegin& begin() const override { return begin_; }
    BackupFacts facts() override { return source_->facts(); }
    void copy(BackupSink& sink, std::atomic<std::uint64_t>& progress, std::stop_token stop) override
    {
        source_->copy(sink, progress, std::move(stop));
    }
    BackupEnd finish() override { return source_->finish(); }

private:
    std::unique_ptr<BackupSource> source_;
    BackupBegin begin_;
};

} // namespace

std::unique_ptr<BackupSource> begin_postgres_backup(const MemberConfig& member,
                                                    const BackupOptions& options)
{
    if (!member.backup_from) return begin_at_primary(member, options);
    try {
        return begin_standby_backup(member, options);
    } catch (const Error& error) {
        if (error.code() != Code::member_unreachable && error.code() != Code::member_not_ready)
            throw;
        // A backup that is a burden is better than none.
        return std::make_unique<InsteadOfStandby>(begin_at_primary(member, options), error.what());
    }
}

} // namespace tidemark::engine::postgres
