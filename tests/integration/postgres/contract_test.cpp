#include "contract/engine_contract.h"
#include "engine/postgres/postgres_engine.h"
#include "integration/postgres/member.h"

namespace tidemark::engine {
namespace {

using postgres::Connection;

/// One cluster for all cases; each case has its slot to itself.
std::shared_ptr<test::Member> shared_member()
{
    static std::shared_ptr<test::Member> member = std::make_shared<test::Member>("contract");
    return member;
}

EngineUnderTest make_postgres(bool local_files)
{
    auto member = shared_member();
    auto config = member->config("contract");
    if (local_files) config.data_dir = member->cluster().data_dir();
    return {.keep = member,
            .engine = std::make_shared<postgres::PostgresEngine>(),
            .member = config,
            .prepare =
                [member](const std::string& gid) {
                    auto sql = member->admin();
                    sql.exec("CREATE TABLE IF NOT EXISTS public.t (gid text)");
                    sql.exec("BEGIN; INSERT INTO public.t VALUES (" + Connection::literal(gid) +
                             "); PREPARE TRANSACTION " + Connection::literal(gid));
                },
            .finish =
                [member](const std::string& gid, bool commit) {
                    member->admin().exec((commit ? "COMMIT PREPARED " : "ROLLBACK PREPARED ") +
                                         Connection::literal(gid));
                },
            .noise = [member] { member->noise(300); }};
}

INSTANTIATE_TEST_SUITE_P(
    Postgres, EngineContract,
    testing::Values(EngineCase{"over_the_wire", [] { return make_postgres(false); }},
                    EngineCase{"local_files", [] { return make_postgres(true); }}),
    [](const auto& instance) { return instance.param.name; });

} // namespace
} // namespace tidemark::engine
