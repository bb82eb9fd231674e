#pragma once

#include "engine/fake/fake_server.h"

namespace tidemark::engine::fake {

class FakeSession : public Session {
public:
    explicit FakeSession(std::shared_ptr<FakeServer> server);
    void set_deadline(std::chrono::steady_clock::time_point deadline) override;
    Identity identify() override;
    std::vector<Check> check() override;
    model::LogPosition insert_position() override;
    PlacedPoint place_restore_point(const std::string& name) override;
    void ensure_flushed(model::Offset offset,
                        std::chrono::steady_clock::time_point deadline) override;
    base::Time clock() override;
    std::vector<PreparedBranch> prepared() override;
    SlotState slot() override;
    model::LogPosition create_slot() override;
    void drop_slot() override;
    std::optional<std::string> history_file(model::Epoch epoch) override;
    std::unique_ptr<LogSource> open_log(const model::LogPosition& from) override;
    std::unique_ptr<BackupSource> begin_backup(const BackupOptions& options) override;

private:
    void enter(const std::string& operation);

    std::shared_ptr<FakeServer> server_;
    std::chrono::steady_clock::time_point deadline_ = std::chrono::steady_clock::time_point::max();
};

/// Delivers up to the server's flush position in chunks of odd sizes.
class FakeLogSource final : public LogSource {
public:
    FakeLogSource(std::shared_ptr<FakeServer> server, const model::LogPosition& from);
    ~FakeLogSource() override;
    model::Epoch epoch() const override { return epoch_; }
    std::optional<Chunk> next(std::chrono::steady_clock::time_point deadline,
                              std::stop_token stop) override;
    std::optional<Switch> switched() const override { return switched_; }
    bool server_waits() const override;
    model::Offset server_end() const override;
    void confirm(model::Offset durable) override;
    std::optional<model::Offset> finish() override;

private:
    bool ready() const;
    bool waits() const; ///< locked
    void tell_slot();

    std::shared_ptr<FakeServer> server_;
    model::Epoch epoch_;
    model::Offset at_;
    model::Offset confirmed_ = 0;
    std::size_t sizes_ = 0;
    base::Bytes chunk_;
    std::optional<Switch> switched_;
    bool open_ = true;
};

/// A base backup: the files as they are at copy(), and "prepared.state" with the transactions that
/// are prepared at the start.
class FakeBackup final : public BackupSource {
public:
    FakeBackup(std::shared_ptr<FakeServer> server, const BackupOptions& options);
    const BackupBegin& begin() const override { return begin_; }
    BackupFacts facts() override;
    void copy(BackupSink& sink, std::atomic<std::uint64_t>& progress,
              std::stop_token stop) override;
    BackupEnd finish() override;

private:
    std::shared_ptr<FakeServer> server_;
    BackupOptions options_;
    BackupBegin begin_;
    std::vector<PreparedBranch> prepared_;
    bool copied_ = false;
};

/// "prepared.state": how a fake backup carries what was prepared at its start.
std::string format_prepared(const std::vector<PreparedBranch>& branches);
std::vector<PreparedBranch> parse_prepared(std::string_view text);
inline constexpr const char* kPreparedFile = "prepared.state";

} // namespace tidemark::engine::fake
