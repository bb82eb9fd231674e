#include "job/log_feeder.h"

#include "base/error.h"
#include "base/log.h"
#include "job/target_folders.h"
#include "repo/histories.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace tidemark::job {

using base::Code;
using base::Error;
using model::Epoch;
using model::LogPosition;
using model::Offset;

namespace {

constexpr std::size_t kMaxName = 64;
constexpr const char* kSocket = "log.sock";
/// How long the helper waits for one file: the feeder may be unpacking from a slow store.
constexpr int kHelperPatienceMs = 600'000;

std::optional<std::uint32_t> hex8(std::string_view text)
{
    std::uint32_t value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (text.size() != 8 || error != std::errc{} || end != text.data() + text.size())
        return std::nullopt;
    return value;
}

/// A socket address below a folder of any depth: the kernel limits the path to 108 bytes, so it
/// goes by descriptor.
sockaddr_un address_in(int folder)
{
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    auto path = fmt::format("/proc/self/fd/{}/{}", folder, kSocket);
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
}

std::string read_line(int fd)
{
    std::string line;
    char c = 0;
    while (line.size() < 256 && ::read(fd, &c, 1) == 1 && c != '\n')
        line += c;
    return line;
}

} // namespace

LogFeeder::LogFeeder(store::Storage& storage, const repo::MemberPlan& plan, Options options)
    : storage_(storage), plan_(plan),
      id_{.group = plan.backup.value.group, .member = plan.backup.value.member},
      options_(std::move(options)), reader_(storage, repo::LogCatalog::load(storage, id_))
{
    folder_ = make_folder(options_.folder, {}, options_.owner ? 0711 : 0700);
    std::filesystem::remove_all(base::path_within(folder_, "spool"));
    make_folder(spool(), options_.owner, 0700);
    tree_.emplace(spool(), options_.owner);
    base::Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    auto address = address_in(folder_.get());
    ::unlinkat(folder_.get(), kSocket, 0);
    if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener.get(), 8) != 0) {
        throw base::system_error("cannot listen on " + socket().string(), errno);
    }
    if (options_.owner && ::fchownat(folder_.get(), kSocket, options_.owner->uid,
                                     options_.owner->gid, AT_SYMLINK_NOFOLLOW) != 0) {
        throw base::system_error("cannot give " + socket().string() + " to the server's user",
                                 errno);
    }
    prefetcher_ = std::jthread([this](std::stop_token stop) { prefetch(stop); });
    want_after({plan_.log_from.epoch, plan_.log_from.offset / options_.segment_size});
    server_.emplace(std::move(listener),
                    LineServer::Options{.longest = kMaxName, .patience = options_.patience},
                    [this](const std::string& name) { return answer(name); });
}

LogFeeder::~LogFeeder()
{
    prefetcher_.request_stop();
    server_.reset();
    if (prefetcher_.joinable()) prefetcher_.join();
    ::unlinkat(folder_.get(), kSocket, 0);
    std::error_code quiet;
    std::filesystem::remove_all(base::path_within(folder_, "spool"), quiet);
}

void LogFeeder::reserve_below(Epoch epoch)
{
    std::lock_guard lock(mutex_);
    reserved_ = epoch;
}

std::optional<std::string> LogFeeder::failure() const
{
    std::lock_guard lock(mutex_);
    return failure_;
}

std::optional<base::Code> LogFeeder::failure_code() const
{
    std::lock_guard lock(mutex_);
    return failure_code_;
}

/// "TTTTTTTTXXXXXXXXYYYYYYYY": timeline, and the segment's number in two parts (XLogFileName in
/// xlog_internal.h).
std::optional<LogFeeder::Segment> LogFeeder::parse(const std::string& name) const
{
    if (name.size() != 24) return std::nullopt;
    auto epoch = hex8(std::string_view(name).substr(0, 8));
    auto high = hex8(std::string_view(name).substr(8, 8));
    auto low = hex8(std::string_view(name).substr(16, 8));
    std::uint64_t per_id = 0x100000000ULL / options_.segment_size;
    if (!epoch || !high || !low || *low >= per_id) return std::nullopt;
    return Segment{*epoch, *high * per_id + *low};
}

std::string LogFeeder::name_of(const Segment& segment) const
{
    std::uint64_t per_id = 0x100000000ULL / options_.segment_size;
    return fmt::format("{:08X}{:08X}{:08X}", segment.epoch, segment.number / per_id,
                       segment.number % per_id);
}

/// An epoch's file holds its parents' bytes below the point where it began, its own up to where it
/// was left, and zeros after that.
std::optional<LogFeeder::Extent> LogFeeder::extent_of(const Segment& segment) const
{
    if (segment.number > plan_.log_to.offset / options_.segment_size) return std::nullopt;
    Offset start = segment.number * options_.segment_size;
    Offset end = plan_.log_to.offset;
    Offset begin = 0;
    bool found = segment.epoch == plan_.history.current();
    for (const auto& step : plan_.history.ancestors()) {
        if (found && step.epoch == segment.epoch) return std::nullopt;
        if (step.epoch == segment.epoch) {
            found = true;
            end = std::min(end, step.left_at);
            break;
        }
        begin = step.left_at;
    }
    if (!found) return std::nullopt;
    Offset first = plan_.log_from.offset - plan_.log_from.offset % options_.segment_size;
    Offset to = std::min<Offset>(start + options_.segment_size, end);
    // A segment wholly below the epoch's beginning is asked for under the parent's name.
    if (start < first || to <= start || start + options_.segment_size <= begin) return std::nullopt;
    return Extent{start, to};
}

void LogFeeder::write_spool(const std::string& name, base::ByteView bytes)
{
    std::string partial = name + ".part";
    tree_->make_file(partial, 0600, 0);
    auto fd = tree_->open(partial);
    base::pwrite_full(fd.get(), bytes, 0, partial);
    tree_->rename(partial, name);
}

void LogFeeder::put_patches(int fd, const Extent& extent, const std::string& name) const
{
    for (const auto& patch : options_.patches) {
        auto from = std::max(extent.from, patch.at);
        auto to = std::min<Offset>(extent.to, patch.at + patch.bytes.size());
        if (from >= to) continue;
        auto part = base::ByteView(patch.bytes)
                        .subspan(static_cast<std::size_t>(from - patch.at),
                                 static_cast<std::size_t>(to - from));
        base::pwrite_full(fd, part, from - extent.from, name);
    }
}

/// In parts as they are read: a segment may be 1 GiB long.
void LogFeeder::build(const Segment&, const Extent& extent, const std::string& name)
{
    std::string partial = name + ".part";
    tree_->make_file(partial, 0600, options_.segment_size);
    auto fd = tree_->open(partial);
    LogPosition from{plan_.history.epoch_at(extent.from), extent.from};
    // `to` may be the very point where the epoch was left: the byte before it names the epoch.
    LogPosition to{plan_.history.epoch_at(extent.to - 1), extent.to};
    reader_.read(plan_.history, from, to, [&](const LogPosition& at, base::ByteView part) {
        base::pwrite_full(fd.get(), part, at.offset - extent.from, partial);
    });
    put_patches(fd.get(), extent, partial);
    // The server makes each segment durable before it goes on: the disk begins now, not then.
    ::sync_file_range(fd.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
    tree_->rename(partial, name);
}

FeedAnswer LogFeeder::provide_history(const std::string& name, Epoch epoch)
{
    auto text = repo::load_history_text(storage_, id_, epoch);
    // The target's own names all of its ancestors; of these the server asks for those behind the
    // backup. One that the plan counted on must not look as if it had never been.
    bool planned =
        epoch == plan_.history.current() || std::ranges::count(plan_.history_files, epoch) != 0;
    if (!text && epoch != 1 && planned) {
        throw Error{Code::not_restorable,
                    fmt::format("the history file of timeline {} is not in the repository", epoch),
                    {.hint = "run `tidemark log`, which fetches it from the server"}};
    }
    if (!text) {
        std::lock_guard lock(mutex_);
        if (epoch <= plan_.history.current() || epoch >= reserved_) return FeedAnswer::absent;
        text = "# this timeline is taken by another restore of the same cluster\n";
    } else if (epoch > plan_.history.current() && epoch >= reserved_ && reserved_ != 0) {
        return FeedAnswer::absent;
    }
    write_spool(name, base::as_bytes(*text));
    return FeedAnswer::ready;
}

FeedAnswer LogFeeder::provide(const std::string& name)
{
    try {
        if (name.size() == 16 && name.ends_with(".history")) {
            auto epoch = hex8(std::string_view(name).substr(0, 8));
            return epoch ? provide_history(name, *epoch) : FeedAnswer::absent;
        }
        auto segment = parse(name);
        if (!segment) return FeedAnswer::absent;
        auto extent = extent_of(*segment);
        if (!extent) return FeedAnswer::absent;
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [&] { return !building_.contains(name); });
            if (ready_.erase(name) == 0 || !std::filesystem::exists(spool() / name))
                building_.insert(name);
            else {
                lock.unlock();
                want_after(*segment);
                return FeedAnswer::ready;
            }
        }
        build(*segment, *extent, name);
        {
            std::lock_guard lock(mutex_);
            building_.erase(name);
        }
        changed_.notify_all();
        want_after(*segment);
        return FeedAnswer::ready;
    } catch (const std::exception& error) {
        std::lock_guard lock(mutex_);
        building_.erase(name);
        changed_.notify_all();
        if (!failure_) {
            failure_ = error.what();
            if (const auto* known = dynamic_cast<const Error*>(&error))
                failure_code_ = known->code();
        }
        base::log_error("cannot deliver log file {}: {}", name, error.what());
        return FeedAnswer::failed;
    }
}

void LogFeeder::want_after(const Segment& segment)
{
    std::lock_guard lock(mutex_);
    wanted_.clear();
    for (std::size_t step = 0; step <= options_.ahead; ++step) {
        Offset at = (segment.number + step) * options_.segment_size;
        if (at >= plan_.log_to.offset) break;
        Offset last = std::min<Offset>(at + options_.segment_size, plan_.log_to.offset) - 1;
        Segment next{plan_.history.epoch_at(last), segment.number + step};
        auto name = name_of(next);
        if (step > 0 && !ready_.contains(name) && !building_.contains(name))
            wanted_.push_back(next);
    }
    changed_.notify_all();
}

void LogFeeder::prefetch(std::stop_token stop)
{
    while (true) {
        Segment segment;
        {
            std::unique_lock lock(mutex_);
            if (!changed_.wait(lock, stop, [&] { return !wanted_.empty(); })) return;
            segment = wanted_.front();
            wanted_.pop_front();
            auto name = name_of(segment);
            if (ready_.contains(name) || !building_.insert(name).second) continue;
        }
        auto name = name_of(segment);
        bool built = false;
        try {
            if (auto extent = extent_of(segment)) {
                build(segment, *extent, name);
                built = true;
            }
        } catch (const std::exception& error) {
            // Not an error yet: should the server ask for it, provide() tries again and says so.
            base::log_debug("cannot unpack {} ahead: {}", name, error.what());
        }
        std::lock_guard lock(mutex_);
        building_.erase(name);
        if (built) ready_.insert(name);
        changed_.notify_all();
    }
}

std::string_view LogFeeder::answer(const std::string& name)
{
    auto result = name.size() <= kMaxName ? provide(name) : FeedAnswer::absent;
    return result == FeedAnswer::ready    ? "ready\n"
           : result == FeedAnswer::absent ? "absent\n"
                                          : "failed\n";
}

int fetch_log(const std::filesystem::path& folder, const std::string& name,
              const std::filesystem::path& target)
{
    constexpr int kCannotTell = static_cast<int>(Code::cannot_tell);
    try {
        // Ours to enter, not to read.
        auto directory = base::open_file(folder, O_PATH | O_DIRECTORY);
        base::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        auto address = address_in(directory.get());
        if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) !=
            0) {
            base::log_error("the restore that serves this log is not running: run the same "
                            "tidemark restore again");
            return kCannotTell;
        }
        std::string line = name + "\n";
        if (::send(socket.get(), line.data(), line.size(), MSG_NOSIGNAL) !=
            static_cast<ssize_t>(line.size()))
            return kCannotTell;
        pollfd wait{socket.get(), POLLIN, 0};
        if (::poll(&wait, 1, kHelperPatienceMs) != 1) return kCannotTell;
        auto reply = read_line(socket.get());
        if (reply == "absent") return 1;
        if (reply != "ready") return kCannotTell;
        std::filesystem::rename(folder / "spool" / name, target);
        return 0;
    } catch (const std::exception& error) {
        base::log_error("fetch-log {}: {}", name, error.what());
        return kCannotTell;
    }
}

} // namespace tidemark::job
