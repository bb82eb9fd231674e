#include "repo/log_writer.h"

#include "base/error.h"
#include "repo/histories.h"
#include "repo/index_codec.h"
#include "repo/layout.h"
#include "repo/log_catalog.h"
#include "stream/checksum.h"

#include <fmt/format.h>

namespace tidemark::repo {

using base::Code;
using base::Error;

namespace {

/// Our name, with our lease in it, can only be taken by an earlier try of ours: then it must be the
/// same object.
void put_once(store::Storage& storage, const std::string& key, base::ByteView bytes)
{
    if (store::put(storage, key, bytes) == store::Created::yes) return;
    auto there = store::get(storage, key, bytes.size() + 1);
    if (there && *there == base::Bytes(bytes.begin(), bytes.end())) return;
    throw Error{Code::failed,
                fmt::format("{} is there already with other bytes", key),
                {.hint = "run `tidemark verify`; then run the same command again, which uses "
                         "another name"}};
}

} // namespace

LogWriter::LogWriter(store::Storage& storage, model::MemberId id, const Lease& lease,
                     std::optional<model::LogPosition> end, Options options)
    : storage_(storage), id_(std::move(id)), lease_(lease), end_(end), options_(options)
{
}

void LogWriter::start_chain(const model::LogPosition& at)
{
    if (options_.log_segment_size == 0 || at.offset % options_.log_segment_size != 0)
        throw Error{Code::failed,
                    fmt::format("a new chain of log of member {} cannot begin at {}: that is no "
                                "segment boundary",
                                id_.member, model::format_position(at))};
    if (end_ && end_->epoch == at.epoch && at.offset < end_->offset)
        throw Error{Code::identity_mismatch,
                    fmt::format("the log of member {} begins anew at {}, but the repository holds "
                                "log of the same timeline up to {}",
                                id_.member, model::format_position(at),
                                model::format_position(*end_)),
                    {.hint = "this server was reset or is another one; check the member's url"}};
    end_ = at;
}

void LogWriter::switch_epoch(model::Epoch next, model::Offset at)
{
    if (!load_history_text(storage_, id_, next))
        throw Error{Code::log_gap,
                    fmt::format("the history of timeline {} of member {} is not stored yet", next,
                                id_.member)};
    if (!end_ || end_->offset != at || next <= end_->epoch)
        throw Error{Code::log_gap,
                    fmt::format("member {} went on with timeline {} at {}, but the repository's "
                                "log ends at {}",
                                id_.member, next, model::format_offset(at),
                                end_ ? model::format_position(*end_) : "nothing"),
                    {.hint = "a new base backup heals the chain"}};
    end_ = model::LogPosition{.epoch = next, .offset = at};
}

model::PieceRef LogWriter::put(const BuiltPiece& piece, const model::LogIndex& index)
{
    const model::LogRange& range = piece.info.range;
    if (!end_ || end_->epoch != range.epoch || end_->offset != range.from)
        throw Error{Code::log_gap,
                    fmt::format("log of member {} from {} to {} does not continue what is stored, "
                                "which ends at {}",
                                id_.member, model::format_position({range.epoch, range.from}),
                                model::format_position({range.epoch, range.to}),
                                end_ ? model::format_position(*end_) : "nothing"),
                    {.hint = "run the same command again; if it stays, a new base backup heals "
                             "the chain"}};
    if (index.range != range)
        throw Error{Code::failed,
                    fmt::format("the index of {} to {} describes another range",
                                model::format_offset(range.from), model::format_offset(range.to))};
    lease_.check();
    PieceId name{.range = range, .lease = lease_.number()};
    model::PieceRef ref{.range = range,
                        .object = {.key = piece_key(id_, name),
                                   .size = piece.bytes.size(),
                                   .sha256 = piece.sha256}};
    note_barriers(storage_, id_, index);
    put_once(storage_, ref.object.key, piece.bytes);
    put_once(storage_, index_key(id_, name),
             encode_index({.index = index,
                           .piece_sha256 = piece.sha256,
                           .piece_size = piece.bytes.size(),
                           .piece_key = ref.object.key}));
    end_ = model::LogPosition{.epoch = range.epoch, .offset = range.to};
    return ref;
}

} // namespace tidemark::repo
