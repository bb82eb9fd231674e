#pragma once

#include "engine/engine.h"

namespace tidemark::engine::postgres {

/// PostgreSQL 13 to 18: the one registration that app needs.
class PostgresEngine final : public Engine {
public:
    std::string name() const override { return "postgresql"; }
    std::unique_ptr<Session> connect(const MemberConfig& member) override;
    std::unique_ptr<RestoreTarget> open_target(const TargetConfig& target) override;
    std::unique_ptr<LogDecoder> open_decoder(const DecoderStart& start) override;
    std::vector<LogPatch> keep_tablespace_inside(const LogExcerpt& record) override;
};

} // namespace tidemark::engine::postgres
