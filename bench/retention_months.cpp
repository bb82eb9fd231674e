// How large a repository grows under frequent marks with retention at work, and what is slow on it.
//   tidemark_bench_months DAYS SECONDS-BETWEEN-MARKS [FOLDER [KEEP-DAYS]]
// With FOLDER the repository is written there at the end, for timing the program on it ("-": not).

#include "job/months_testing.h"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>

namespace {

using namespace tidemark;

template <typename Work> double seconds(Work work)
{
    auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void write_out(store::Storage& storage, const std::filesystem::path& folder)
{
    for (const auto& info : storage.list("")) {
        auto path = folder / info.key;
        std::filesystem::create_directories(path.parent_path());
        auto bytes = store::get(storage, info.key, 64U << 20);
        std::ofstream(path, std::ios::binary) << base::as_text(*bytes);
    }
}

} // namespace

int main(int argc, char** argv)
{
    int days = argc > 1 ? std::atoi(argv[1]) : 30;
    int step = argc > 2 ? std::atoi(argv[2]) : 30;
    job::SimulatedMonths group(std::chrono::seconds{step});
    if (argc > 4) group.spec().keep_days = std::atoi(argv[4]);
    std::size_t most = 0;
    for (int day = 1; day <= days; ++day) {
        double took = seconds([&] { group.live_a_day(); });
        most = std::max(most, group.objects() + group.last().removed);
        if (day % 5 == 0 || day == days)
            fmt::print("day {}: {} objects, at most {} so far; this day took {:.1f} s\n", day,
                       group.objects(), most, took);
        std::fflush(stdout);
    }
    for (const auto& [kind, count] : group.objects_by_kind())
        fmt::print("  {:<12} {}\n", kind, count);
    repo::RepositoryView view;
    fmt::print("load all: {:.2f} s\n",
               seconds([&] { view = repo::load_view(group.storage(), "shop"); }));
    fmt::print(
        "  newest restorable mark: {:.2f} s, all restorable marks: {:.2f} s, a plan: {:.2f} s\n",
        seconds([&] { (void)repo::newest_restorable(view); }),
        seconds([&] { (void)repo::restorable_marks(view); }),
        seconds([&] { (void)repo::plan_restore(view, view.marks.back().number()); }));
    fmt::print("load what is recent: {:.2f} s\n",
               seconds([&] { view = repo::load_recent(group.storage(), "shop"); }));
    fmt::print("load for a list of marks: {:.2f} s\n", seconds([&] {
                   view = repo::load_view(group.storage(), "shop", {.sets = repo::SetScope::none});
               }));
    if (argc > 3 && std::string(argv[3]) != "-") write_out(group.storage(), argv[3]);
    return 0;
}
