#pragma once

#include "engine/engine.h"
#include "engine/fake/fake_server.h"
#include "engine/fake/fake_target.h"

#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace tidemark::engine::fake {

/// Engine "fake" for tests: members with url "fake:NAME" reach the server of that name.
class FakeEngine final : public Engine {
public:
    /// Adds a server, or puts another one behind the name.
    std::shared_ptr<FakeServer> add_server(FakeServerOptions options);
    std::shared_ptr<FakeServer> server(const std::string& name) const;
    /// The servers that were restored.
    RestoredServers& restored() { return *restored_; }
    /// Config of a member on the server `name`.
    static MemberConfig member(const std::string& name);

    std::string name() const override { return "fake"; }
    std::unique_ptr<Session> connect(const MemberConfig& member) override;
    std::unique_ptr<RestoreTarget> open_target(const TargetConfig& target) override;
    std::unique_ptr<LogDecoder> open_decoder(const DecoderStart& start) override;

private:
    mutable std::mutex mutex_;
    std::map<std::string, std::shared_ptr<FakeServer>> servers_;
    std::shared_ptr<RestoredServers> restored_ = std::make_shared<RestoredServers>();
};

} // namespace tidemark::engine::fake
