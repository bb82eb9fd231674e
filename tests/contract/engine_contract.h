#pragma once

#include "engine/engine.h"

#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <string>

namespace tidemark::engine {

/// An engine with one live member whose slot does not exist yet, and hands to work on its server.
/// `keep` holds whatever must live as long and is destroyed last.
struct EngineUnderTest {
    std::shared_ptr<void> keep;
    std::shared_ptr<Engine> engine;
    MemberConfig member;
    std::function<void(const std::string& gid)> prepare;
    std::function<void(const std::string& gid, bool commit)> finish;
    std::function<void()> noise; ///< a few hundred kilobytes of log, flushed
};

struct EngineCase {
    std::string name;
    std::function<EngineUnderTest()> make;
};

/// What every Engine promises (engine/engine.h). Instantiate with one EngineCase for each kind.
class EngineContract : public testing::TestWithParam<EngineCase> {
public:
    ~EngineContract() override;

protected:
    EngineContract() : under_test_(GetParam().make()), member_(under_test_.member) {}

    std::unique_ptr<Session> connect() { return under_test_.engine->connect(member_); }
    /// Everything from the start of the segment of `from` to `to`; the slot stays where it is.
    base::Bytes receive(Session& session, model::LogPosition from, model::Offset to);
    /// Makes the log durable up to now and returns where that is.
    model::Offset flush_all(Session& session);
    /// Index of the log from the slot on, fed in pieces of at most `piece` bytes.
    model::LogIndex decode(Session& session, const model::LogPosition& from, std::size_t piece);
    DecoderStart decoder_start(const Identity& identity, const model::LogPosition& from) const;

    EngineUnderTest under_test_;
    MemberConfig member_;
};

} // namespace tidemark::engine
