#include "contract/engine_contract.h"

#include "engine/fake/fake_engine.h"

namespace tidemark::engine {
namespace {

EngineUnderTest make_fake()
{
    auto engine = std::make_shared<fake::FakeEngine>();
    auto server = engine->add_server({.name = "orders"});
    server->set_file("base/1/1259", base::Bytes(3'000'000, std::byte{7}));
    server->set_file("global/pg_control", base::Bytes(8192, std::byte{1}));
    server->noise(1000);
    return {
        .keep = server,
        .engine = engine,
        .member = fake::FakeEngine::member("orders"),
        .prepare = [server](const std::string& gid) { server->prepare(gid); },
        .finish = [server](const std::string& gid, bool commit) { server->finish(gid, commit); },
        .noise = [server] { server->noise(300'000); }};
}

INSTANTIATE_TEST_SUITE_P(Fake, EngineContract, testing::Values(EngineCase{"fake", make_fake}),
                         [](const auto& instance) { return instance.param.name; });

} // namespace
} // namespace tidemark::engine
