#pragma once

#include "model/branch.h"
#include "model/open_transactions.h"

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tidemark::model {

/// A branch in the compact form that the computations work on. Positions are for ordering within
/// the member's log: a seeded prepare has 0, and a lost branch occupies one byte before its switch
/// point.
struct Instance {
    std::uint32_t member = 0; ///< index into the logs
    std::uint32_t id = 0;     ///< index into Instances::ids()
    Finish finish = Finish::open;
    bool seeded = false;
    bool matched = true;
    bool commit_unseen = false;
    bool id_mixed = false;
    Offset prepare_start = 0;
    Offset prepare_end = 0;
    Offset finish_start = 0; ///< kNever while open
    Offset finish_end = 0;
    base::Time prepared_at; ///< Time{} when unknown
    base::Time finished_at;
    LogPosition abandoned_commit; ///< as in Branch
    /// Where the rest of the branch stands; owned by the caller's input.
    const Branch* carried = nullptr;
    const Seed* seed = nullptr;
    const TransactionEvent* prepare = nullptr;
    const TransactionEvent* end = nullptr;
};

/// Lost, and its tail shows no end of it: whatever use of its id it stands for goes on elsewhere.
inline bool is_endless(const Instance& instance)
{
    return instance.finish == Finish::lost && instance.finished_at == base::Time{};
}

/// Larger than every position in a log.
inline constexpr Offset kNever = ~Offset{0};

/// Is this position, reached in `epoch`, part of the history?
bool on_history(const History& history, Epoch epoch, Offset end);

/// How far the table knows the log of a member that now has this history. Throws
/// Error{identity_mismatch} when the history does not pass through the table's epoch.
Offset known_to(const OpenTransactions::Member& member, const History& history);

/// All branch instances that are known after the table and the events: the table advanced over new
/// log. Keeps pointers into its input, which must outlive it.
class Instances {
public:
    /// `limits`: for each log, the events that end beyond it are not taken; kNever for all.
    /// Throws Error{failed} when events are out of order or contradict themselves.
    Instances(std::span<const MemberLog* const> logs, const OpenTransactions* previous,
              std::span<const Offset> limits);

    Instances(const Instances&) = delete;
    Instances& operator=(const Instances&) = delete;

    const std::vector<Instance>& all() const { return all_; }
    const std::vector<std::string_view>& ids() const { return ids_; }
    std::size_t member_count() const { return logs_.size(); }
    const MemberLog& log(std::size_t member) const { return *logs_[member]; }

    /// COMMIT PREPARED and ROLLBACK PREPARED without a known prepare or gid, those of the table
    /// first.
    struct Unknown {
        std::uint32_t member = 0;
        UnknownFinish finish;
    };
    const std::vector<Unknown>& unknown_finishes() const { return unknown_; }

    Branch branch(const Instance& instance) const;
    /// Xid and epoch of the finish, without building the whole branch.
    std::uint32_t xid(const Instance& instance) const;
    Epoch finish_epoch(const Instance& instance) const;
    Epoch prepare_epoch(const Instance& instance) const;

private:
    struct Replay;

    std::uint32_t intern(const MemberLog& log, std::string_view gid, bool& matched);
    void take_member(std::uint32_t member, const OpenTransactions* previous, Offset limit);
    void take_table(Replay& replay, const OpenTransactions& previous, bool gap);
    void take_seeds(Replay& replay);
    void take_event(Replay& replay, const TransactionEvent& event);
    void take_abandoned(Replay& replay, const TransactionEvent& event);
    void take_prepare(Replay& replay, const TransactionEvent& event);
    void take_finish(Replay& replay, const TransactionEvent& event);
    void close_replay(Replay& replay);
    Instance& add(std::uint32_t member, std::string_view gid);

    std::vector<const MemberLog*> logs_;
    std::vector<Instance> all_;
    std::vector<Unknown> unknown_;
    std::vector<std::string_view> ids_;
    std::deque<std::string> owned_ids_;
    std::unordered_map<std::string_view, std::uint32_t> id_numbers_;
};

} // namespace tidemark::model
