#include "engine/postgres/page_verifier.h"

#include "engine/postgres/backup_rules.h"
#include "stream/page_checksum.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fmt/format.h>

namespace tidemark::engine::postgres {

namespace {

using namespace std::chrono_literals;
using stream::kPageSize;

/// Waits before each new reading. A write of one page into the page cache takes microseconds; the
/// long ones are for a writer that lost its processor in the middle.
constexpr std::array<std::chrono::milliseconds, 5> kPauses = {1ms, 5ms, 20ms, 50ms, 100ms};
/// From so many damaged pages on, the file system is the problem and patience does not help.
constexpr std::size_t kPatienceEnds = 64;

std::string_view file_name(std::string_view path)
{
    auto slash = path.rfind('/');
    return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

} // namespace

void PageVerifier::verify(const std::string& path, std::uint64_t offset, base::ByteSpan bytes,
                          const Reread& reread, std::string_view no_reread)
{
    auto file = parse_relation_file(file_name(path));
    std::uint32_t first = (file ? file->segment : 0) * options_.segment_pages;
    std::size_t pages = bytes.size() / kPageSize;
    for (std::size_t i = 0; i < pages; ++i) {
        auto page = bytes.subspan(i * kPageSize, kPageSize);
        auto at = offset + i * kPageSize;
        std::uint32_t block = first + static_cast<std::uint32_t>(at / kPageSize);
        if (stream::check_page(page.data(), block).ok()) [[likely]]
            continue;
        if (!passes(page, block)) mend({path, at, block}, page, reread, no_reread);
    }
    verified_.fetch_add(pages, std::memory_order_relaxed);
}

bool PageVerifier::passes(base::ByteView page, std::uint32_t block)
{
    auto verdict = stream::check_page(page.data(), block);
    if (verdict.ok()) return true;
    if (verdict.state != stream::PageState::bad_checksum || verdict.lsn < options_.start)
        return false;
    if (verdict.lsn <= known_end_.load(std::memory_order_relaxed)) return true;
    auto end = options_.log_end();
    known_end_.store(end, std::memory_order_relaxed);
    return verdict.lsn <= end;
}

void PageVerifier::mend(const Place& place, base::ByteSpan page, const Reread& reread,
                        std::string_view no_reread)
{
    if (!reread) {
        report(place, page, no_reread);
        return;
    }
    bool patient = true;
    {
        std::lock_guard lock{mutex_};
        patient = damaged_.size() < kPatienceEnds;
    }
    std::array<std::byte, kPageSize> fresh;
    for (auto pause : kPauses) {
        if (patient) options_.pause(pause);
        reread_.fetch_add(1, std::memory_order_relaxed);
        auto got = reread(place.offset, fresh);
        if (!got) {
            report(place, page, no_reread);
            return;
        }
        if (*got < kPageSize) {
            // The relation was cut off here; replay knows.
            std::memset(page.data(), 0, page.size());
            return;
        }
        std::memcpy(page.data(), fresh.data(), kPageSize);
        if (passes(page, place.block)) return;
        if (!patient) break;
    }
    report(place, page, {});
}

void PageVerifier::report(const Place& place, base::ByteView page, std::string_view remark)
{
    auto verdict = stream::check_page(page.data(), place.block);
    std::string why = verdict.state == stream::PageState::bad_new
                          ? "the page claims to be unused but is not empty"
                          : fmt::format("checksum {:04X} is stored, {:04X} was computed",
                                        verdict.stored, verdict.computed);
    if (!remark.empty()) why += fmt::format("; {}", remark);
    add_damage({place.path, place.offset / kPageSize, std::move(why)});
}

void PageVerifier::add_damage(model::DamagedPage page)
{
    std::lock_guard lock{mutex_};
    ++damaged_count_;
    if (damaged_.size() < kMostNamed) damaged_.push_back(std::move(page));
}

std::uint64_t PageVerifier::damaged_count() const
{
    std::lock_guard lock{mutex_};
    return damaged_count_;
}

std::vector<model::DamagedPage> PageVerifier::damaged() const
{
    std::lock_guard lock{mutex_};
    auto pages = damaged_;
    std::sort(pages.begin(), pages.end(), [](const auto& a, const auto& b) {
        return std::tie(a.path, a.block) < std::tie(b.path, b.block);
    });
    return pages;
}

} // namespace tidemark::engine::postgres
