#include "job/join_log.h"

#include "base/check.h"
#include "base/error.h"
#include "repo/index_codec.h"
#include "repo/joined.h"
#include "repo/layout.h"
#include "repo/log_reader.h"
#include "repo/piece.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <optional>
#include <tuple>

namespace tidemark::job {

using base::Code;
using base::Error;
using repo::LogPiece;

namespace {

/// As in a piece's own index: one time each so many bytes, and the last (model/log_events.h).
constexpr std::uint64_t kTimeSpacing = std::uint64_t{64} << 10;

repo::PieceId id_of(const LogPiece& piece)
{
    return {.range = piece.range, .lease = piece.lease};
}

class Joiner {
public:
    Joiner(const Context& context, const repo::Lease& lease, const Survey& survey,
           const JoinOptions& options, const repo::MemberView& member)
        : context_(context), lease_(lease), survey_(survey), options_(options), member_(member),
          id_(member.log.id), reader_(context.storage(), member.log),
          settled_(settled_log(survey.view, member.log.id.member))
    {
        for (const auto& set : survey.view.sets) {
            auto part = set.value.members.find(id_.member);
            if (part == set.value.members.end()) continue;
            for (const auto& piece : part->second.pieces)
                named_.emplace(piece.object.key, piece);
        }
        for (const auto& piece : member.joined)
            named_.insert_or_assign(piece.object.key, piece);
    }

    JoinReport run()
    {
        JoinReport report;
        std::vector<model::PieceRef> made;
        for (const auto& run : runs()) {
            auto ref = join(run);
            if (!ref) continue;
            report.pieces += run.size();
            ++report.made;
            made.push_back(std::move(*ref));
        }
        auto next = generation(made);
        if (next != member_.joined)
            repo::JoinedCatalog(context_.storage(), id_).append(lease_, next);
        return report;
    }

private:
    bool is_candidate(const LogPiece& piece) const
    {
        auto info = survey_.objects.find(piece.key);
        const auto& fates = survey_.plan.members.at(id_.member).pieces;
        auto fate = fates.find(piece.key);
        if (info == survey_.objects.end() || fate == fates.end() || !fate->second.stays)
            return false;
        return piece.indexed && named_.contains(piece.key) &&
               info->second.modified + options_.after <= context_.storage().now() && settled(piece);
    }

    /// What no set has closed yet is left to the next mark.
    bool settled(const LogPiece& piece) const
    {
        return settled_ &&
               (piece.range.epoch < settled_->epoch ||
                (piece.range.epoch == settled_->epoch && piece.range.to <= settled_->offset));
    }

    /// Neighbours that together are not too large.
    std::vector<std::vector<LogPiece>> runs() const
    {
        std::vector<std::vector<LogPiece>> out;
        std::vector<LogPiece> run;
        auto flush = [&] {
            if (run.size() >= std::max<std::size_t>(options_.at_least, 2)) out.push_back(run);
            run.clear();
        };
        for (const LogPiece& piece : member_.log.pieces) {
            if (!is_candidate(piece)) continue;
            bool goes_on = !run.empty() && run.back().range.epoch == piece.range.epoch &&
                           run.back().range.to == piece.range.from &&
                           piece.range.to - run.front().range.from <= options_.limit;
            if (!goes_on) flush();
            run.push_back(piece);
        }
        flush();
        return out;
    }

    /// Nothing when one of the pieces or its index is damaged: verify tells.
    std::optional<model::PieceRef> join(const std::vector<LogPiece>& run)
    {
        if (context_.stop.stop_requested())
            throw Error{Code::cancelled, "stopped while joining log"};
        try {
            return write(run);
        } catch (const Error& error) {
            if (error.code() != Code::not_restorable && error.code() != Code::failed) throw;
            if (error.transient()) throw;
            context_.progress.warn(fmt::format("log pieces of member {} are not joined: {}",
                                               id_.member, error.what()));
            return std::nullopt;
        }
    }

    model::PieceRef write(const std::vector<LogPiece>& run)
    {
        std::optional<repo::PieceBuilder> builder;
        std::vector<model::LogIndex> indexes;
        base::Bytes buffer;
        for (const LogPiece& piece : run) {
            repo::PieceReader reader(context_.storage(), id_, id_of(piece));
            reader.verify(named_.at(piece.key).object.sha256);
            if (!builder)
                builder.emplace(reader.info(),
                                repo::PieceBuilder::Options{.level = context_.compression_level,
                                                            .limit = options_.limit});
            for (auto at = piece.range.from; at < piece.range.to; at += buffer.size()) {
                buffer.resize(std::min<std::uint64_t>(repo::kPieceFrame, piece.range.to - at));
                reader.read(at, buffer);
                std::size_t took = builder->append(buffer);
                CHECK(took == buffer.size()); // runs() kept to the limit
            }
            indexes.push_back(reader_.index(piece, nullptr));
        }
        return store(builder->finish(), merge_indexes(indexes));
    }

    model::PieceRef store(const repo::BuiltPiece& built, const model::LogIndex& index)
    {
        repo::PieceId name{.range = built.info.range, .lease = lease_.number()};
        model::PieceRef ref{.range = name.range,
                            .object = {.key = repo::piece_key(id_, name),
                                       .size = built.bytes.size(),
                                       .sha256 = built.sha256}};
        lease_.check();
        store::put(context_.storage(), ref.object.key, built.bytes);
        store::put(context_.storage(), repo::index_key(id_, name),
                   repo::encode_index({.index = index,
                                       .piece_sha256 = built.sha256,
                                       .piece_size = built.bytes.size(),
                                       .piece_key = ref.object.key}));
        // Others go because of it: so it is read back first.
        repo::PieceReader(context_.storage(), id_, name).verify(built.sha256);
        return ref;
    }

    /// The joined pieces that are there and stay, those just made instead of what they hold.
    std::vector<model::PieceRef> generation(std::vector<model::PieceRef> made) const
    {
        std::vector<model::PieceRef> out = std::move(made);
        std::size_t fresh = out.size();
        const auto& fates = survey_.plan.members.at(id_.member).pieces;
        for (const auto& old : member_.joined) {
            auto fate = fates.find(old.object.key);
            bool replaced =
                std::any_of(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(fresh),
                            [&](const model::PieceRef& one) {
                                return one.range.epoch == old.range.epoch &&
                                       one.range.from <= old.range.from &&
                                       old.range.to <= one.range.to;
                            });
            if (!replaced && fate != fates.end() && fate->second.stays) out.push_back(old);
        }
        std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
            return std::tie(a.range.epoch, a.range.from, a.object.key) <
                   std::tie(b.range.epoch, b.range.from, b.object.key);
        });
        return out;
    }

    const Context& context_;
    const repo::Lease& lease_;
    const Survey& survey_;
    const JoinOptions& options_;
    const repo::MemberView& member_;
    const model::MemberId& id_;
    repo::LogReader reader_;
    std::optional<model::LogPosition> settled_;
    std::map<std::string, model::PieceRef> named_;
};

void add_times(std::vector<model::TimePoint>& into, const std::vector<model::TimePoint>& part,
               std::optional<model::TimePoint>& last)
{
    for (const model::TimePoint& point : part) {
        if (into.empty() || point.start - into.back().start >= kTimeSpacing) {
            into.push_back(point);
            last.reset();
        } else {
            last = point;
        }
    }
}

} // namespace

model::LogIndex merge_indexes(const std::vector<model::LogIndex>& parts)
{
    CHECK(!parts.empty());
    model::LogIndex out;
    out.range = parts.front().range;
    out.range.to = parts.back().range.to;
    out.unfinished = parts.back().unfinished;
    std::optional<model::TimePoint> last;
    auto append = [](auto& into, const auto& part) {
        into.insert(into.end(), part.begin(), part.end());
    };
    for (const model::LogIndex& part : parts) {
        if (!out.first_record) out.first_record = part.first_record;
        if (part.last_record_end != 0) out.last_record_end = part.last_record_end;
        append(out.transactions, part.transactions);
        append(out.restore_points, part.restore_points);
        append(out.notices, part.notices);
        append(out.unread, part.unread); // what a mark does not know, it must not take for read
        add_times(out.times, part.times, last);
        out.records += part.records;
        out.commits += part.commits;
        out.rollbacks += part.rollbacks;
        out.full_page_images += part.full_page_images;
    }
    if (last) out.times.push_back(*last);
    return out;
}

JoinReport join_log(const Context& context, const repo::Lease& lease, const Survey& survey,
                    const JoinOptions& options)
{
    JoinReport report;
    for (const auto& [name, member] : survey.view.members) {
        base::with_context("member " + name, [&] {
            auto one = Joiner(context, lease, survey, options, member).run();
            report.pieces += one.pieces;
            report.made += one.made;
        });
    }
    return report;
}

} // namespace tidemark::job
