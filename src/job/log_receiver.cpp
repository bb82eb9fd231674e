#include "job/log_receiver.h"

#include "base/check.h"
#include "base/error.h"
#include "job/log_patches.h"
#include "job/member_history.h"
#include "job/membership.h"
#include "job/reindex.h"
#include "repo/identities.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

namespace tidemark::job {

using base::Code;
using base::Error;
using model::LogPosition;
using model::Offset;

namespace {

/// A piece is closed at this many plain bytes; it is held in memory until then.
constexpr std::size_t kPieceBytes = 16U << 20;
/// And when it has been open for so long: what is not stored is lost with the server.
constexpr auto kPieceAge = std::chrono::seconds{10};
/// How much of the stored tail is compared with what the server sends for the same range.
constexpr Offset kCompareBytes = 64U << 10;
constexpr auto kComparePatience = std::chrono::seconds{10};
/// How late keep_up() may notice that it is enough: it delays marks.
constexpr auto kKeepUpStep = std::chrono::milliseconds{5};

Offset segment_floor(Offset offset, std::uint32_t segment_size)
{
    return offset - offset % segment_size;
}

} // namespace

LogReceiver::LogReceiver(const Context& context, const model::MemberSpec& member,
                         engine::Session& session, const repo::Lease& lease)
    : context_(context), member_(member), session_(session), lease_(lease),
      id_{.group = context.group.name, .member = member.name}
{
}

void LogReceiver::open(std::stop_token stop)
{
    check_identity();
    auto server = compare_history(context_, id_, session_, identity_.position.epoch);
    history_ = server.history;
    catalog_ = repo::LogCatalog::load(context_.storage(), id_);
    require_branch(catalog_, recorded_, history_);
    auto chain = catalog_.newest_chain(history_);
    std::optional<LogPosition> end;
    if (chain) end = chain->end;
    // A generation recorded after the newest piece began a new chain: what lies between is a gap.
    bool new_chain = !end || recorded_.log_start.offset > end->offset;
    auto slot = session_.slot();
    slot_at_open_ = slot.restart.value_or(0);
    if (!slot.exists || slot.lost) {
        throw Error{Code::log_gap,
                    fmt::format("the replication slot is {}, the server no longer keeps log for us",
                                slot.exists ? "lost" : "missing"),
                    {.hint = "tidemark backup makes a new slot and starts a new chain"}};
    }
    repo::LogWriter::Options options{.log_segment_size = identity_.log_segment_size};
    writer_.emplace(context_.storage(), id_, lease_, end, options);
    if (new_chain) {
        writer_->start_chain(recorded_.log_start);
        start_stream(recorded_.log_start, std::nullopt);
    } else {
        go_on(*chain, slot.restart, stop);
        mend_histories(context_, id_, session_, history_);
    }
    store_histories(context_, id_, server);
}

/// Receives the end of the chain once more and compares it before anything new is taken.
void LogReceiver::go_on(const repo::LogChain& chain, std::optional<Offset> restart,
                        std::stop_token stop)
{
    const auto& end = chain.end;
    refuse_one_set_back(session_, end);
    Offset begin = 0; // of the epoch
    for (const auto& step : history_.ancestors()) {
        if (step.epoch < end.epoch) begin = step.left_at;
    }
    Offset from =
        std::max({segment_floor(end.offset - 1, identity_.log_segment_size), chain.start.offset,
                  begin, end.offset > kCompareBytes ? end.offset - kCompareBytes : 0});
    try {
        start_stream({end.epoch, from}, end);
        auto deadline = std::chrono::steady_clock::now() + kComparePatience;
        while (from < end.offset) {
            auto chunk = source_->next(deadline, stop);
            if (!chunk) {
                throw Error{Code::member_unreachable,
                            fmt::format("the server did not send the last {} bytes of log that are "
                                        "stored once more, to be compared",
                                        end.offset - from),
                            {.hint = "try again; look into the server's log when it stays so"}};
            }
            from = chunk->at + chunk->bytes.size();
            take(*chunk);
        }
    } catch (const Error& error) {
        if (error.code() != Code::log_gap || end.offset % identity_.log_segment_size != 0) throw;
        require_uncompared(context_, id_.member, {end, restart, recorded_, history_});
        source_.reset();
        start_stream(end, end);
    }
}

void LogReceiver::warn_of_switch(const engine::LogSource::Switch& next) const
{
    Offset stored = next.at;
    for (const auto& piece : catalog_.pieces) {
        if (piece.range.epoch == source_->epoch()) stored = std::max(stored, piece.range.to);
    }
    auto lost = stored > next.at ? fmt::format("log up to {} that was stored of the old one is an "
                                               "abandoned branch; ",
                                               model::format_offset(stored))
                                 : std::string();
    context_.progress.warn(fmt::format(
        "{} was failed over or restored: it went on with timeline {} at {}; {}what the old server "
        "acknowledged after that point is lost there, other members may hold their part of it",
        member_.name, next.next, model::format_offset(next.at), lost));
}

void LogReceiver::check_identity()
{
    identity_ = session_.identify();
    auto recorded = repo::Identities(context_.storage(), id_).latest();
    if (!recorded) {
        throw Error{Code::usage,
                    "the repository does not know this member yet",
                    {.hint = "tidemark init records it"}};
    }
    recorded_ = recorded->value;
    refuse_departed(recorded_);
    repo::check_identity(recorded_, identity_);
}

void LogReceiver::start_stream(const LogPosition& from, std::optional<LogPosition> stored_end)
{
    piece_.reset();
    known_ = {};
    if (stored_end) {
        repo::LogReader reader(context_.storage(), catalog_);
        if (from.offset < stored_end->offset) {
            known_ = KnownLog(
                from.offset,
                reader.read(history_, {history_.epoch_at(from.offset), from.offset}, *stored_end),
                [this, from, end = stored_end->offset](const base::Bytes& bytes) {
                    repo::LogReader stored(context_.storage(), catalog_);
                    return as_replayed(
                        context_.engine(member_),
                        {.reader = stored, .history = history_, .identity = identity_, .end = end},
                        from.offset, bytes,
                        index_rebuilder(context_, member_, identity_, catalog_, history_));
                });
        }
        durable_ = stored_end->offset;
        start_decoder(*stored_end);
    } else {
        durable_ = from.offset;
        decoder_.emplace(context_.engine(member_),
                         engine::DecoderStart{.version_num = identity_.version_num,
                                              .system_id = identity_.system_id,
                                              .log_segment_size = identity_.log_segment_size,
                                              .epoch = from.epoch,
                                              .range_from = from.offset,
                                              .feed_from = from.offset,
                                              .at_record = false});
    }
    source_ = session_.open_log(from);
}

/// The decoder goes on inside the record that spans the end of the stored log, or at the next
/// record.
void LogReceiver::start_decoder(const LogPosition& end)
{
    repo::LogReader reader(context_.storage(), catalog_);
    engine::DecoderStart start{.version_num = identity_.version_num,
                               .system_id = identity_.system_id,
                               .log_segment_size = identity_.log_segment_size,
                               .epoch = end.epoch,
                               .range_from = end.offset,
                               .feed_from = end.offset,
                               .at_record = true};
    const repo::LogPiece* last = nullptr;
    for (const auto& piece : catalog_.pieces) {
        if (piece.range.epoch == end.epoch && piece.range.to == end.offset) last = &piece;
    }
    if (last != nullptr) {
        auto rebuild = index_rebuilder(context_, member_, identity_, catalog_, history_);
        auto index = reader.index(*last, rebuild);
        if (index.unfinished) {
            start.feed_from = *index.unfinished;
        } else if (index.last_record_end != end.offset) {
            start.feed_from = segment_floor(end.offset, identity_.log_segment_size);
            start.at_record = false;
        }
    }
    decoder_.emplace(context_.engine(member_), start);
    if (start.feed_from < end.offset) {
        reader.read(
            history_, {history_.epoch_at(start.feed_from), start.feed_from}, end,
            [&](const LogPosition& at, base::ByteView bytes) { decoder_->feed(at.offset, bytes); });
    }
}

void LogReceiver::compare(Offset at, base::ByteView bytes)
{
    if (known_.holds(at, bytes)) return;
    throw_other_history(
        fmt::format("the server's log near {} differs from the log stored for the same range: "
                    "this cluster has another history than the one in the repository",
                    model::format_offset(at)));
}

void LogReceiver::take(const engine::LogSource::Chunk& chunk)
{
    Offset expected = received_to();
    auto bytes = chunk.bytes;
    if (chunk.at < expected) {
        compare(chunk.at, bytes);
        auto skip = std::min<Offset>(expected - chunk.at, bytes.size());
        bytes = bytes.subspan(static_cast<std::size_t>(skip));
    } else if (chunk.at > expected) {
        throw Error{Code::log_gap,
                    fmt::format("the server sent log from {} where {} was due",
                                model::format_offset(chunk.at), model::format_offset(expected))};
    }
    if (bytes.empty()) return;
    decoder_->feed(received_to(), bytes);
    if (!piece_) {
        piece_.emplace(piece_info(),
                       repo::PieceBuilder::Options{.level = context_.compression_level});
        piece_began_ = context_.clock.steady();
    }
    CHECK(piece_->append(bytes) == bytes.size());
    received_ += bytes.size();
}

repo::PieceInfo LogReceiver::piece_info() const
{
    return {.engine = repo::EngineTag::postgresql,
            .system_id = std::stoull(identity_.system_id),
            .segment_size = identity_.log_segment_size,
            .version_num = static_cast<std::uint32_t>(identity_.version_num),
            .range = {source_->epoch(), durable_, durable_}};
}

void LogReceiver::warn_of_unread(const model::LogIndex& index)
{
    for (const auto& hole : index.unread) {
        context_.progress.warn(fmt::format("{}: log from {} to {} is stored, but this program "
                                           "cannot read it ({}); marks that need "
                                           "it wait for tidemark reindex by a newer program",
                                           id_.member, model::format_offset(hole.from),
                                           model::format_offset(hole.to), hole.why));
    }
}

void LogReceiver::store_piece()
{
    if (!piece_) return;
    auto built = piece_->finish();
    piece_.reset();
    auto index = decoder_->take();
    auto ref = writer_->put(built, index);
    warn_of_unread(index);
    const auto& range = built.info.range;
    refs_.push_back(ref);
    catalog_.add({.range = range,
                  .lease = lease_.number(),
                  .size = ref.object.size,
                  .indexed = true,
                  .key = ref.object.key});
    durable_ = range.to;
    stored_ += range.to - range.from;
    context_.progress.advance(member_.name, stored_);
    source_->confirm(confirmable(range.to, identity_.log_segment_size));
}

void LogReceiver::follow_switch(std::stop_token)
{
    auto next = source_->switched();
    CHECK(next);
    if (received_to() != next->at) {
        throw Error{Code::identity_mismatch,
                    fmt::format("the server says that timeline {} ended at {}, and sent log up to "
                                "{}",
                                source_->epoch(), model::format_offset(next->at),
                                model::format_offset(received_to())),
                    {.hint = "try again; if it stays, ask which server answers there: two at one "
                             "address, or one that was set back, have different histories"}};
    }
    store_piece();
    warn_if_moved(context_, id_.member, source_->finish(), std::max(durable_, slot_at_open_));
    // What leads to it is stored and was compared, so this is the member's own next timeline.
    auto server = compare_history(context_, id_, session_, next->next);
    store_histories(context_, id_, server);
    history_ = std::move(server.history);
    mend_histories(context_, id_, session_, history_);
    warn_of_switch(*next);
    writer_->switch_epoch(next->next, next->at);
    LogPosition at{next->next, next->at};
    decoder_.emplace(context_.engine(member_),
                     engine::DecoderStart{.version_num = identity_.version_num,
                                          .system_id = identity_.system_id,
                                          .log_segment_size = identity_.log_segment_size,
                                          .epoch = at.epoch,
                                          .range_from = at.offset,
                                          .feed_from = at.offset,
                                          .at_record = true});
    source_ = session_.open_log(at);
}

/// One step; false when there was nothing to do until the deadline. A server that stops waits for
/// our confirmation of its last byte, so that is made durable at once.
bool LogReceiver::receive(std::chrono::steady_clock::time_point deadline, std::stop_token stop)
{
    auto chunk = source_->next(deadline, stop);
    if (chunk) {
        take(*chunk);
    } else if (source_->switched()) {
        follow_switch(stop);
    } else if (stop.stop_requested()) {
        throw Error{Code::cancelled, "stopped while receiving log"};
    } else if (source_->server_waits()) {
        store_piece();
        // Also the byte that confirmable() holds back at a segment's end: it waits for that one.
        // The price: the segment may be gone when we come back, and where the log still ends there
        // the next run goes on uncompared, with a warning (require_uncompared).
        source_->confirm(durable_);
    } else {
        store_full_or_old_piece();
        return false;
    }
    store_full_or_old_piece();
    return true;
}

void LogReceiver::store_full_or_old_piece()
{
    if (!piece_) return;
    bool old = context_.clock.steady() - piece_began_ >= kPieceAge;
    if (old || piece_->plain_size() >= kPieceBytes) store_piece();
}

void LogReceiver::advance(Offset target, std::chrono::steady_clock::time_point deadline,
                          std::stop_token stop)
{
    while (durable_ < target) {
        if (received_to() >= target) {
            store_piece();
            continue;
        }
        auto silent_at = std::chrono::steady_clock::now() + context_.silence;
        if (receive(std::min(deadline, silent_at), stop)) continue;
        if (std::chrono::steady_clock::now() >= deadline) {
            throw Error{
                Code::mark_not_placed,
                fmt::format("received log up to {} only, {} was due by the deadline",
                            model::format_offset(received_to()), model::format_offset(target)),
                {.hint = "try again; a larger mark.wait helps where the connection is slow"}};
        }
        throw Error{Code::member_unreachable,
                    fmt::format("the server has log up to {} and sent nothing after {} for {}",
                                model::format_offset(target), model::format_offset(received_to()),
                                base::format_duration(context_.silence)),
                    {.hint = "look whether it or the connection hangs; nothing is lost, the slot "
                             "keeps its log",
                     .transient = true}};
    }
}

void LogReceiver::keep_up(const std::function<bool()>& enough, std::stop_token stop)
{
    while (!enough() && !stop.stop_requested())
        receive(std::chrono::steady_clock::now() + kKeepUpStep, stop);
}

void LogReceiver::finish()
{
    if (source_)
        warn_if_moved(context_, id_.member, source_->finish(), std::max(durable_, slot_at_open_));
    source_.reset();
}

LogPosition LogReceiver::durable() const
{
    return {source_ ? source_->epoch() : history_.current(), durable_};
}

} // namespace tidemark::job
