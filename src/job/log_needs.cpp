#include "job/log_needs.h"

#include "base/error.h"
#include "base/log.h"
#include "repo/log_reader.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/format.h>
#include <optional>
#include <string_view>

namespace tidemark::job {

namespace {

/// What a notice of changed parameters says that replay needs no less of (xl_parameter_change).
constexpr std::array<std::string_view, 5> kReplayLimits = {
    "max_connections", "max_worker_processes", "max_wal_senders", "max_prepared_transactions",
    "max_locks_per_transaction"};

std::optional<std::uint64_t> limit_of(std::string_view text)
{
    std::uint32_t value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

/// "max_connections=100 ... wal_level=replica"; what is no limit of ours is passed over.
void add_limits(std::string_view detail, std::map<std::string, std::uint64_t>& limits)
{
    while (!detail.empty()) {
        auto word = detail.substr(0, detail.find(' '));
        detail.remove_prefix(std::min(detail.size(), word.size() + 1));
        auto equals = word.find('=');
        if (equals == std::string_view::npos) continue;
        auto name = word.substr(0, equals);
        if (std::find(kReplayLimits.begin(), kReplayLimits.end(), name) == kReplayLimits.end())
            continue;
        auto value = limit_of(word.substr(equals + 1));
        if (!value) continue;
        auto& most = limits[std::string(name)];
        most = std::max(most, *value);
    }
}

/// "16394 /srv/later", of a record that the plan replays.
void add_tablespace(const model::LogNotice& notice, model::Epoch epoch,
                    const repo::MemberPlan& plan, std::vector<CreatedTablespace>& tablespaces)
{
    if (notice.start < plan.log_from.offset || notice.start >= plan.log_to.offset ||
        plan.history.epoch_at(notice.start) != epoch)
        return;
    CreatedTablespace created;
    const auto& text = notice.detail;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), created.oid);
    if (error != std::errc{} || end == text.data() + text.size() || *end != ' ') return;
    created.location = text.substr(static_cast<std::size_t>(end - text.data()) + 1);
    created.start = notice.start;
    tablespaces.push_back(std::move(created));
}

} // namespace

LogNeeds log_needs(store::Storage& storage, const model::MemberId& id, const repo::MemberPlan& plan,
                   const repo::RebuildIndex& rebuild)
{
    repo::LogCatalog named;
    named.id = id;
    repo::LogReader reader(storage, named);
    // Not stored: a plan writes nothing.
    auto index_of = [&](const repo::LogPiece& piece) {
        try {
            return reader.index(piece, {});
        } catch (const base::Error& error) {
            if (error.code() != base::Code::failed) throw;
            return rebuild(piece);
        }
    };
    LogNeeds needs;
    for (const auto& piece : plan.pieces) {
        try {
            for (const auto& notice : index_of(piece.piece).notices) {
                if (notice.kind == model::LogNoticeKind::custom_resource_manager)
                    needs.extension_managers.insert(notice.detail);
                if (notice.kind == model::LogNoticeKind::parameter_change)
                    add_limits(notice.detail, needs.limits);
                if (notice.kind == model::LogNoticeKind::tablespace_created)
                    add_tablespace(notice, piece.piece.range.epoch, plan, needs.tablespaces);
            }
        } catch (const base::Error& error) {
            // Where the log itself is damaged, its replay says so.
            if (error.code() != base::Code::failed && error.code() != base::Code::log_gap &&
                error.code() != base::Code::not_restorable)
                throw;
            base::log_debug("{}", error.what());
            needs.warnings.push_back(fmt::format(
                "the index of {} cannot be read or made again: a tablespace that was created there "
                "would be put where production has it",
                piece.piece.key));
        }
    }
    return needs;
}

void raise_settings(std::map<std::string, std::string>& settings,
                    const std::map<std::string, std::uint64_t>& limits)
{
    for (const auto& [name, least] : limits) {
        auto& setting = settings[name];
        auto value = limit_of(setting);
        if (!value || *value < least) setting = std::to_string(least);
    }
}

} // namespace tidemark::job
