#pragma once

#include "engine/engine.h"

namespace tidemark::engine::fake {

struct Record;

/// Index of the fake log; keeps the bytes of an unfinished record only.
class FakeDecoder final : public LogDecoder {
public:
    explicit FakeDecoder(const DecoderStart& start);
    void feed(model::Offset at, base::ByteView bytes) override;
    model::LogIndex take() override;
    model::Offset readable_to() const override { return record_at_; }

private:
    void add(const Record& record, model::Offset from, model::Offset end);

    DecoderStart start_;
    base::Bytes pending_;     ///< from record_at_ on
    model::Offset record_at_; ///< start of the record that comes next
    model::Offset range_from_;
    model::LogIndex index_;
    std::optional<model::TimePoint> latest_;
};

} // namespace tidemark::engine::fake
