#pragma once

#include "base/bytes.h"
#include "base/fd.h"
#include "store/posix_tree.h"
#include "store/storage.h"
#include "stream/checksum.h"

#include <chrono>
#include <memory>
#include <optional>
#include <string>

namespace tidemark::store {

/// Whether a name in the temporary folder is one that a writer gave.
bool is_temporary_name(std::string_view name);

/// A file under a temporary name until commit(). Holds at most kBuffer bytes in memory.
class PosixWriter final : public ObjectWriter {
public:
    PosixWriter(std::shared_ptr<PosixTree> tree, std::string key);
    ~PosixWriter() override;

    void write(base::ByteView bytes) override;
    Created commit() override;
    /// What the kernel has written to its device; behind write() by two steps of writeback.
    std::uint64_t durable() const override { return durable_; }

private:
    void write_through(base::ByteView bytes);
    void start_writeback();
    void sync_range(std::uint64_t from, std::uint64_t to, unsigned flags);
    void read_back();
    Created place(const Place& target);
    Created link_or_rename(const Place& target, int& error);
    void remove_temporary() noexcept;

    std::shared_ptr<PosixTree> tree_;
    std::string key_;
    base::Fd folder_;
    std::string name_;
    base::Fd file_;
    base::Bytes buffer_;
    std::uint64_t written_ = 0;
    std::optional<stream::Sha256> hash_; ///< of what was written, when it is to be read back
    std::uint64_t started_ = 0;          ///< up to here the kernel was asked to write to the disk
    std::uint64_t durable_ = 0;          ///< up to here it has done so
    std::chrono::steady_clock::time_point stepped_ = std::chrono::steady_clock::now();
    enum class State { open, broken, ended } state_ = State::open;
};

} // namespace tidemark::store
