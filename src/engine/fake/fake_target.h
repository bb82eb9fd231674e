#pragma once

#include "base/error.h"
#include "engine/fake/fake_record.h"
#include "engine/restore_target.h"

#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>

namespace tidemark::engine::fake {

/// What a restored fake server is; survives the RestoreTarget objects that work on it, as files on
/// a disk would.
struct RestoredServer {
    enum class Phase { absent, prepared, at_goal, promoted, handed_over };
    Phase phase = Phase::absent;
    bool running = false;
    RecoverySpec spec;
    model::LogPosition position;
    std::map<std::uint32_t, PreparedBranch> in_doubt; ///< by xid
    std::set<std::string> committed;                  ///< gids, by the log or by settle()
    std::set<std::string> rolled_back;
    std::vector<Record> replayed;
    std::map<std::string, bool> settled; ///< gid -> commit
    std::vector<std::string> calls;      ///< every method that ended well, in order
    HandOverOptions hand_over;           ///< of prepare_hand_over()
};

/// [from, to) of a member's log along the history of `goal_epoch`; shorter when less is stored.
using ReadLog = std::function<base::Bytes(const std::string& member, model::Epoch goal_epoch,
                                          model::Offset from, model::Offset to)>;

/// All restored fake servers by data directory, and the faults of restores. Thread-safe.
class RestoredServers {
public:
    void set_log_reader(ReadLog reader);
    /// What ask() of a member's restored server says; without it every question is an Error.
    using Answer = std::function<std::optional<std::string>(
        const std::string& member, const std::string& database, const std::string& sql)>;
    void set_answers(Answer answer);
    /// What is wrong inside of a member's restored files.
    void set_content(const std::string& member, ContentCheck check);
    void set_pages(const std::string& member, PageCheck check);
    /// The next call of `method` for `member` throws.
    void fail(const std::string& member, const std::string& method, const base::Error& error);
    void fail(const std::string& member, const std::string& method, std::exception_ptr error);
    /// A copy, for tests to look at.
    RestoredServer at(const std::filesystem::path& dir) const;

private:
    friend class FakeTarget;
    mutable std::mutex mutex_;
    ReadLog read_log_;
    std::map<std::filesystem::path, RestoredServer> servers_;
    std::map<std::pair<std::string, std::string>, std::exception_ptr> faults_;
    Answer answer_;
    std::map<std::string, ContentCheck> content_;
    std::map<std::string, PageCheck> pages_;
};

/// "Recovers" by decoding the log that the reader of RestoredServers delivers.
class FakeTarget final : public RestoreTarget {
public:
    FakeTarget(TargetConfig config, std::shared_ptr<RestoredServers> servers);
    void preflight() override;
    void prepare(const RecoverySpec& spec) override;
    Reached recover(const std::function<void(model::Offset)>& progress,
                    std::stop_token stop) override;
    model::LogPosition promote(std::stop_token stop) override;
    void resume(std::stop_token stop) override;
    std::vector<PreparedBranch> prepared() override;
    void settle(const PreparedBranch& branch, bool commit) override;
    std::vector<std::string> warnings() override;
    ContentCheck check_content(unsigned workers, std::stop_token stop) override;
    std::optional<std::string> ask(const std::string& database, const std::string& sql,
                                   std::stop_token stop) override;
    PageCheck check_pages(unsigned workers, std::stop_token stop) override;
    void check_hand_over(const HandOverOptions& options) override;
    HandOver prepare_hand_over(const HandOverOptions& options, std::stop_token stop) override;
    void hand_over(HandOver& result, bool start) override;
    void take_back() override;
    void stop() override;
    void clean_up() override;
    std::string private_conninfo() const override;

private:
    void enter(const std::string& method);
    void done(const std::string& method);
    void replay(const Record& record);
    bool is_goal(const Record& record, model::Offset start) const;
    base::Bytes read_file(const std::string& name) const;

    TargetConfig config_;
    std::shared_ptr<RestoredServers> servers_;
    RestoredServer* server_; ///< in *servers_; guarded by its mutex
};

} // namespace tidemark::engine::fake
