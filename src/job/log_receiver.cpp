#include "job/log_receiver.h"

#include "base/check.h"
#include "base/error.h"
#include "job/reindex.h"
#include "repo/histories.h"
#include "repo/identities.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::job {

using base::Code;
using base::Error;
using model::LogPosition;
using model::Offset;

namespace {

/// A piece is closed at this many plain bytes; it is held in memory until then.
constexpr std::size_t kPieceBytes = 16U << 20;
/// How much of the stored tail is compared with what the server sends for the same range.
constexpr Offset kCompareBytes = 64U << 10;

Offset segment_floor(Offset offset, std::uint32_t segment_size)
{
    return offset - offset % segment_size;
}

[[noreturn]] void throw_other_history(const std::string& why)
{
    throw Error{Code::identity_mismatch,
                why,
                {.hint = "check the member's url; if the cluster was restored or replaced on "
                         "purpose, take it out of the "
                         "group and add it under a new name"}};
}

} // namespace

LogReceiver::LogReceiver(const Context& context, const model::MemberSpec& member,
                         engine::Session& session, const repo::Lease& lease)
    : context_(context), member_(member), session_(session), lease_(lease),
      id_{.group = context.group.name, .member = member.name}
{
}

void LogReceiver::open(std::stop_token)
{
    check_identity();
    load_history(identity_.position.epoch);
    catalog_ = repo::LogCatalog::load(context_.storage(), id_);
    auto chain = catalog_.newest_chain(history_);
    std::optional<LogPosition> end;
    if (chain) end = chain->end;
    // A generation recorded after the newest piece began a new chain: what lies between is a gap.
    bool new_chain = !end || recorded_.log_start.offset > end->offset;
    auto slot = session_.slot();
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
        return;
    }
    if (end->epoch != identity_.position.epoch && history_.epoch_at(end->offset) != end->epoch) {
        // The old epoch was left exactly where our log ends.
        auto next = history_.epoch_at(end->offset);
        writer_->switch_epoch(next, end->offset);
        end = LogPosition{next, end->offset};
    }
    Offset from =
        std::max({segment_floor(end->offset, identity_.log_segment_size), chain->start.offset,
                  end->offset > kCompareBytes ? end->offset - kCompareBytes : 0});
    // Bytes below the switch point of the present epoch were sent by its parent.
    if (history_.epoch_at(from) != end->epoch) from = end->offset;
    start_stream({end->epoch, from}, end);
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
    repo::check_identity(recorded_, identity_);
}

void LogReceiver::load_history(model::Epoch epoch)
{
    history_ = model::History(epoch);
    if (epoch == 1) return;
    auto text = session_.history_file(epoch);
    if (!text)
        throw_other_history(
            fmt::format("the server has no history file of its timeline {}", epoch));
    history_ = model::parse_history(epoch, *text);
    for (const auto& step : history_.ancestors()) {
        if (step.epoch == 1 || repo::load_history_text(context_.storage(), id_, step.epoch))
            continue;
        if (auto older = session_.history_file(step.epoch)) {
            repo::store_history(context_.storage(), id_, step.epoch, *older);
        }
    }
    repo::store_history(context_.storage(), id_, epoch, *text);
}

void LogReceiver::start_stream(const LogPosition& from, std::optional<LogPosition> stored_end)
{
    piece_.reset();
    known_.clear();
    if (stored_end) {
        repo::LogReader reader(context_.storage(), catalog_);
        if (from.offset < stored_end->offset) {
            known_ =
                reader.read(history_, {history_.epoch_at(from.offset), from.offset}, *stored_end);
            known_from_ = from.offset;
        }
        durable_ = stored_end->offset;
        start_decoder(*stored_end);
    } else {
        durable_ = from.offset;
        decoder_ =
            context_.engine(member_).open_decoder({.version_num = identity_.version_num,
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
    decoder_ = context_.engine(member_).open_decoder(start);
    if (start.feed_from < end.offset) {
        reader.read(
            history_, {history_.epoch_at(start.feed_from), start.feed_from}, end,
            [&](const LogPosition& at, base::ByteView bytes) { decoder_->feed(at.offset, bytes); });
    }
}

void LogReceiver::compare(Offset at, base::ByteView bytes)
{
    CHECK(at >= known_from_);
    auto skip = static_cast<std::size_t>(at - known_from_);
    if (skip >= known_.size()) return;
    auto count = std::min(bytes.size(), known_.size() - skip);
    if (!std::equal(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count),
                    known_.begin() + static_cast<std::ptrdiff_t>(skip))) {
        throw_other_history(
            fmt::format("the server's log near {} differs from the log stored for the same range: "
                        "this cluster has another history than the one in the repository",
                        model::format_offset(at)));
    }
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
    if (!piece_)
        piece_.emplace(piece_info(),
                       repo::PieceBuilder::Options{.level = context_.compression_level});
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

void LogReceiver::store_piece()
{
    if (!piece_) return;
    auto built = piece_->finish();
    piece_.reset();
    auto ref = writer_->put(built, decoder_->take());
    const auto& range = built.info.range;
    refs_.push_back(ref);
    catalog_.add({.range = range,
                  .lease = lease_.number(),
                  .size = ref.object.size,
                  .indexed = true,
                  .key = ref.object.key});
    durable_ = range.to;
    source_->confirm(range.to);
}

void LogReceiver::follow_switch(std::stop_token)
{
    auto next = source_->switched();
    store_piece();
    CHECK(next && durable_ == next->at);
    source_->finish();
    load_history(next->next);
    writer_->switch_epoch(next->next, next->at);
    LogPosition at{next->next, next->at};
    decoder_ =
        context_.engine(member_).open_decoder({.version_num = identity_.version_num,
                                               .system_id = identity_.system_id,
                                               .log_segment_size = identity_.log_segment_size,
                                               .epoch = at.epoch,
                                               .range_from = at.offset,
                                               .feed_from = at.offset,
                                               .at_record = true});
    source_ = session_.open_log(at);
}

void LogReceiver::advance(Offset target, std::chrono::steady_clock::time_point deadline,
                          std::stop_token stop)
{
    while (durable_ < target) {
        auto chunk = source_->next(deadline, stop);
        if (chunk) {
            take(*chunk);
        } else if (source_->switched()) {
            follow_switch(stop);
            continue;
        } else if (stop.stop_requested()) {
            throw Error{Code::cancelled, "stopped while receiving log"};
        } else if (std::chrono::steady_clock::now() >= deadline) {
            throw Error{
                Code::mark_not_placed,
                fmt::format("received log up to {} only, {} was due by the deadline",
                            model::format_offset(received_to()), model::format_offset(target)),
                {.hint = "try again; a larger mark.wait helps where the connection is slow"}};
        }
        if ((piece_ && piece_->plain_size() >= kPieceBytes) || received_to() >= target)
            store_piece();
    }
}

void LogReceiver::finish()
{
    if (source_) source_->finish();
    source_.reset();
}

LogPosition LogReceiver::durable() const
{
    return {source_ ? source_->epoch() : history_.current(), durable_};
}

} // namespace tidemark::job
