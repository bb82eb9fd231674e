#include "engine/postgres/page_check.h"

#include "base/error.h"
#include "base/task_group.h"
#include "engine/postgres/backup_rules.h"
#include "engine/postgres/cluster_walk.h"
#include "stream/page_checksum.h"

#include <algorithm>
#include <atomic>
#include <fmt/format.h>
#include <mutex>
#include <tuple>

namespace tidemark::engine::postgres {

namespace {

using base::Code;
using base::Error;
using stream::kPageSize;

constexpr std::size_t kChunk = 128 * kPageSize;

class Checker {
public:
    Checker(const Walk& walk, std::uint32_t segment_pages)
        : walk_(walk), segment_pages_(segment_pages)
    {
    }

    /// Takes file after file until none is left.
    void work(const std::stop_token& stop)
    {
        base::Bytes buffer(kChunk);
        for (auto i = next_.fetch_add(1); i < walk_.files.size(); i = next_.fetch_add(1)) {
            const auto& file = walk_.files[i];
            auto path = walk_.path(file);
            if (has_page_checksums(path)) check(file, path, buffer, stop);
        }
    }

    PageCheck result()
    {
        std::lock_guard lock{mutex_};
        auto out = result_;
        out.has_checksums = true;
        std::sort(out.damaged.begin(), out.damaged.end(), [](const auto& a, const auto& b) {
            return std::tie(a.path, a.block) < std::tie(b.path, b.block);
        });
        return out;
    }

private:
    void check(const WalkedFile& file, const std::string& path, base::Bytes& buffer,
               const std::stop_token& stop)
    {
        auto fd = walk_.open(file);
        if (!fd.valid()) throw Error{Code::failed, path + " vanished although no server runs"};
        auto name = parse_relation_file(file.name);
        std::uint32_t first = (name ? name->segment : 0) * segment_pages_;
        std::uint64_t offset = 0;
        for (;;) {
            if (stop.stop_requested()) throw Error{Code::cancelled, "the page check was stopped"};
            auto got = base::pread_full(fd.get(), buffer, offset, path);
            auto pages = got / kPageSize;
            for (std::size_t i = 0; i < pages; ++i) {
                auto block = offset / kPageSize + i;
                judge(path, buffer.data() + i * kPageSize, block, first);
            }
            if (got % kPageSize != 0)
                damage({path, (offset + got) / kPageSize,
                        fmt::format("the file ends after {} bytes of the page", got % kPageSize)});
            offset += got;
            if (got < buffer.size()) break;
        }
        std::lock_guard lock{mutex_};
        ++result_.files;
        result_.pages += offset / kPageSize;
    }

    void judge(const std::string& path, const std::byte* page, std::uint64_t block,
               std::uint32_t first)
    {
        auto verdict = stream::check_page(page, first + static_cast<std::uint32_t>(block));
        if (verdict.ok()) [[likely]]
            return;
        damage({path, block,
                verdict.state == stream::PageState::bad_new
                    ? "the page claims to be unused but is not empty"
                    : fmt::format("checksum {:04X} is stored, {:04X} was computed", verdict.stored,
                                  verdict.computed)});
    }

    void damage(model::DamagedPage page)
    {
        std::lock_guard lock{mutex_};
        ++result_.damaged_count;
        if (result_.damaged.size() < kMaxFaults) result_.damaged.push_back(std::move(page));
    }

    const Walk& walk_;
    std::uint32_t segment_pages_;
    std::atomic<std::size_t> next_{0};
    std::mutex mutex_;
    PageCheck result_;
};

} // namespace

PageCheck check_all_pages(const std::filesystem::path& data_dir, int major,
                          const ControlFile& control, unsigned workers, std::stop_token stop)
{
    if (control.checksum_version == 0) return {};
    auto walk = walk_cluster(data_dir, fmt::format("PG_{}_{}", major, control.catalog_version));
    Checker checker{walk, control.segment_pages};
    base::TaskGroup tasks{std::move(stop)};
    for (unsigned i = 0; i < std::max(1U, workers); ++i)
        tasks.add([&](const std::stop_token& token) { checker.work(token); });
    tasks.wait();
    return checker.result();
}

} // namespace tidemark::engine::postgres
