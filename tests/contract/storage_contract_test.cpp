#include "storage_contract.h"

#include "base/clock.h"
#include "base/random.h"
#include "base/temp_dir.h"
#include "store/faulty.h"
#include "store/memory.h"
#include "store/posix.h"
#include "store/retrying.h"

#include <thread>

namespace tidemark::store {
namespace {

StoreUnderTest make_memory()
{
    return {{}, std::make_shared<MemoryStorage>()};
}

StoreUnderTest make_directory()
{
    auto folder = std::make_shared<base::TempDir>("tidemark-contract");
    return {folder, open_directory(folder->path() / "repository", {.create = true})};
}

StoreUnderTest make_directory_read_back()
{
    auto folder = std::make_shared<base::TempDir>("tidemark-contract");
    return {folder, open_directory(folder->path() / "repository",
                                   {.create = true, .read_back = ReadBack::always})};
}

/// Every second call of each kind that can be repeated fails once.
StoreUnderTest make_retrying_faulty()
{
    struct Parts {
        base::SystemClock clock;
        base::SeededRandom random{42};
    };
    auto parts = std::make_shared<Parts>();
    auto faulty = std::make_shared<FaultyStorage>(std::make_shared<MemoryStorage>());
    base::Error hiccup{
        base::Code::repository_unreachable, "hiccup", {.hint = "", .transient = true}};
    for (auto operation : {Operation::create, Operation::open, Operation::read, Operation::stat,
                           Operation::list, Operation::remove, Operation::now}) {
        for (std::size_t i = 0; i < 200; ++i) {
            faulty->fail(operation, hiccup, {.after = i, .times = 1});
        }
    }
    RetryOptions options{.first_delay = std::chrono::microseconds{1},
                         .longest_delay = std::chrono::microseconds{10},
                         .sleep = [](base::Duration) { std::this_thread::yield(); }};
    return {parts, make_retrying(faulty, parts->clock, parts->random, std::move(options))};
}

INSTANTIATE_TEST_SUITE_P(
    Stores, StorageContract,
    testing::Values(StorageCase{"memory", make_memory}, StorageCase{"directory", make_directory},
                    StorageCase{"directory_read_back", make_directory_read_back},
                    StorageCase{"retrying", make_retrying_faulty}),
    [](const auto& test) { return test.param.name; });

} // namespace
} // namespace tidemark::store
