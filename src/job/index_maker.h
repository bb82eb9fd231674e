#pragma once

#include "base/error.h"
#include "engine/engine.h"
#include "model/log_events.h"

#include <memory>
#include <optional>
#include <string>

namespace tidemark::job {

/// Makes the index of log with the engine's decoder, and goes on where the decoder cannot: what it
/// does not understand becomes a stretch of LogIndex::unread, and reading begins anew at the next
/// log segment, whose first page says where records begin. So one record that this program cannot
/// read costs marks, never bytes; a newer program's `reindex` reads what this one could not.
class IndexMaker {
public:
    /// `engine` must outlive it. Errors: as Engine::open_decoder, except for a log format that it
    /// does not know.
    IndexMaker(engine::Engine& engine, const engine::DecoderStart& start);

    /// Errors: identity_mismatch and log_gap, as LogDecoder::feed.
    void feed(model::Offset at, base::ByteView bytes);
    /// Index of everything fed since the last take() (or the start).
    model::LogIndex take();

private:
    void open(const engine::DecoderStart& start);
    void lose(const base::Error& error, model::Offset readable_to);
    void merge(model::LogIndex part);

    engine::Engine& engine_;
    engine::DecoderStart start_;
    std::unique_ptr<engine::LogDecoder> decoder_; ///< none while waiting for a segment
    model::LogIndex index_;                       ///< of decoders before this one
    model::Offset range_from_;
    model::Offset fed_to_;
    std::optional<model::Offset> hole_; ///< where what could not be read began
    std::string why_;
};

} // namespace tidemark::job
