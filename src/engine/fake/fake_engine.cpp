#include "engine/fake/fake_engine.h"

#include "base/error.h"
#include "engine/fake/fake_decoder.h"
#include "engine/fake/fake_session.h"

#include <fmt/format.h>

namespace tidemark::engine::fake {

using base::Code;
using base::Error;

std::shared_ptr<FakeServer> FakeEngine::add_server(FakeServerOptions options)
{
    const std::lock_guard lock(mutex_);
    const std::string name = options.name;
    return servers_[name] = std::make_shared<FakeServer>(std::move(options));
}

std::shared_ptr<FakeServer> FakeEngine::server(const std::string& name) const
{
    const std::lock_guard lock(mutex_);
    const auto it = servers_.find(name);
    if (it == servers_.end())
        throw Error{Code::member_unreachable, fmt::format("there is no fake server {}", name)};
    return it->second;
}

MemberConfig FakeEngine::member(const std::string& name)
{
    return {.name = name, .url = "fake:" + name, .data_dir = {}, .slot = "tidemark_" + name};
}

std::unique_ptr<Session> FakeEngine::connect(const MemberConfig& member)
{
    constexpr std::string_view kScheme = "fake:";
    if (!member.url.starts_with(kScheme))
        throw Error{Code::usage, "the url of a fake member is fake:NAME"};
    return std::make_unique<FakeSession>(server(member.url.substr(kScheme.size())));
}

std::unique_ptr<RestoreTarget> FakeEngine::open_target(const TargetConfig& target)
{
    return std::make_unique<FakeTarget>(target, restored_);
}

std::unique_ptr<LogDecoder> FakeEngine::open_decoder(const DecoderStart& start)
{
    return std::make_unique<FakeDecoder>(start);
}

} // namespace tidemark::engine::fake
