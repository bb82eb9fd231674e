#include "job/index_maker.h"

#include "base/check.h"
#include "base/error.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace tidemark::job {

using base::Code;
using base::Error;
using model::Offset;

namespace {

/// Not the log of another cluster, and not our own mistake in feeding it.
bool is_unreadable_log(const Error& error)
{
    return error.code() == Code::failed || error.code() == Code::member_not_ready;
}

template <typename T> void append(std::vector<T>& to, std::vector<T>&& from)
{
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

} // namespace

IndexMaker::IndexMaker(engine::Engine& engine, const engine::DecoderStart& start)
    : engine_(engine), start_(start), range_from_(start.range_from), fed_to_(start.feed_from)
{
    open(start);
}

void IndexMaker::open(const engine::DecoderStart& start)
{
    try {
        decoder_ = engine_.open_decoder(start);
    } catch (const Error& error) {
        if (!is_unreadable_log(error)) throw;
        lose(error, start.feed_from);
    }
}

void IndexMaker::lose(const Error& error, Offset readable_to)
{
    if (!hole_) {
        hole_ = std::max(readable_to, range_from_);
        why_ = error.what();
    }
    decoder_.reset();
}

void IndexMaker::feed(Offset at, base::ByteView bytes)
{
    CHECK(at == fed_to_);
    const Offset segment = start_.log_segment_size;
    while (!bytes.empty()) {
        if (!decoder_) {
            Offset next = (at + segment - 1) / segment * segment;
            auto skip = std::min<Offset>(next - at, bytes.size());
            at += skip;
            bytes = bytes.subspan(static_cast<std::size_t>(skip));
            if (bytes.empty()) break;
            auto start = start_;
            start.range_from = start.feed_from = at;
            start.at_record = false;
            open(start);
        }
        // Up to the segment's end, so that reading can begin anew with the next.
        auto count =
            static_cast<std::size_t>(std::min<Offset>(segment - at % segment, bytes.size()));
        if (decoder_) {
            try {
                decoder_->feed(at, bytes.first(count));
            } catch (const Error& error) {
                if (!is_unreadable_log(error)) throw;
                auto readable_to = decoder_->readable_to();
                merge(decoder_->take());
                lose(error, readable_to);
            }
        }
        at += count;
        bytes = bytes.subspan(count);
    }
    fed_to_ = at;
}

/// A hole ends where the first record that was read after it begins.
void IndexMaker::merge(model::LogIndex part)
{
    if (hole_ && part.first_record) {
        if (*part.first_record > *hole_)
            index_.unread.push_back({.from = *hole_, .to = *part.first_record, .why = why_});
        hole_.reset();
    }
    if (!index_.first_record) index_.first_record = part.first_record;
    if (part.last_record_end != 0) index_.last_record_end = part.last_record_end;
    index_.unfinished = part.unfinished;
    append(index_.transactions, std::move(part.transactions));
    append(index_.restore_points, std::move(part.restore_points));
    append(index_.times, std::move(part.times));
    append(index_.notices, std::move(part.notices));
    index_.records += part.records;
    index_.commits += part.commits;
    index_.rollbacks += part.rollbacks;
    index_.full_page_images += part.full_page_images;
}

model::LogIndex IndexMaker::take()
{
    CHECK(fed_to_ >= range_from_);
    if (decoder_) merge(decoder_->take());
    if (hole_) {
        if (fed_to_ > *hole_) index_.unread.push_back({.from = *hole_, .to = fed_to_, .why = why_});
        index_.unfinished.reset();
        hole_ = fed_to_;
    }
    index_.range = {.epoch = start_.epoch, .from = range_from_, .to = fed_to_};
    range_from_ = fed_to_;
    return std::exchange(index_, {});
}

} // namespace tidemark::job
