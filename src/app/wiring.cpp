#include "app/wiring.h"

#include "app/url_rules.h"
#include "base/error.h"
#include "base/random.h"
#include "engine/postgres/postgres_engine.h"
#include "store/posix.h"
#include "store/retrying.h"

namespace tidemark::app {

using base::Code;
using base::Error;

std::unique_ptr<store::Storage> open_storage(const std::string& url, bool create)
{
    std::string path = url.starts_with("file://") ? url.substr(7) : url;
    if (auto problem = repository_url_problem(url); !problem.empty())
        throw Error{Code::usage, "the repository's url " + problem};
    if (path.empty())
        throw Error{Code::usage,
                    "the repository's url is empty",
                    {.hint = "use a path, such as /var/backups/tidemark"}};
    static base::SystemClock clock;
    static base::SystemRandom random;
    return store::make_retrying(
        store::open_directory(std::filesystem::absolute(path), {.create = create}), clock, random);
}

engine::Engine& engine_for(const std::string&)
{
    return engine_named("postgresql");
}

engine::Engine& engine_named(const std::string& name)
{
    static engine::postgres::PostgresEngine postgres;
    if (name == postgres.name()) return postgres;
    throw Error{Code::usage, "this version has no engine for " + name};
}

} // namespace tidemark::app
