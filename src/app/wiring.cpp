#include "app/wiring.h"

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
    auto scheme = path.find("://");
    if (scheme != std::string::npos) {
        throw Error{Code::usage,
                    "repositories at " + url.substr(0, scheme) +
                        ":// are not supported by this version",
                    {.hint = "use a directory: a path or file://PATH"}};
    }
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
