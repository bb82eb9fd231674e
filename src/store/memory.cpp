#include "store/memory.h"

#include "base/check.h"
#include "store/key.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::store {

namespace {

class MemorySource final : public base::ByteSource {
public:
    MemorySource(std::shared_ptr<const base::Bytes> bytes, std::optional<Range> range)
        : bytes_(std::move(bytes)), rest_(*bytes_)
    {
        if (!range) return;
        rest_ = rest_.subspan(std::min<std::uint64_t>(range->offset, rest_.size()));
        rest_ = rest_.first(std::min<std::uint64_t>(range->length, rest_.size()));
    }

    std::size_t read(base::ByteSpan into) override
    {
        std::size_t count = std::min(into.size(), rest_.size());
        std::copy_n(rest_.begin(), count, into.begin());
        rest_ = rest_.subspan(count);
        return count;
    }

private:
    std::shared_ptr<const base::Bytes> bytes_;
    base::ByteView rest_;
};

} // namespace

class MemoryStorage::Writer final : public ObjectWriter {
public:
    Writer(MemoryStorage& storage, std::string key, std::size_t life)
        : storage_(storage), key_(std::move(key)), life_(life)
    {
    }

    void write(base::ByteView bytes) override
    {
        std::lock_guard lock{storage_.mutex_};
        CHECK(!committed_);
        require_same_life();
        storage_.step([&] { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); });
    }

    Created commit() override
    {
        std::lock_guard lock{storage_.mutex_};
        CHECK(!committed_);
        committed_ = true;
        require_same_life();
        length_ = bytes_.size();
        storage_.require_no_clash(key_);
        auto result = Created::already_there;
        storage_.step([&] {
            Object object{std::make_shared<const base::Bytes>(std::move(bytes_)),
                          storage_.clock_.now()};
            bool fresh = storage_.objects_.try_emplace(key_, std::move(object)).second;
            if (fresh) result = Created::yes;
        });
        return result;
    }

    std::uint64_t durable() const override { return committed_ ? length_ : bytes_.size(); }

private:
    void require_same_life() const
    {
        if (life_ != storage_.life_) throw CrashError{};
    }

    MemoryStorage& storage_;
    std::string key_;
    std::size_t life_;
    base::Bytes bytes_;
    std::uint64_t length_ = 0; ///< of what was committed
    bool committed_ = false;
};

MemoryStorage::MemoryStorage()
    : own_clock_(std::make_unique<base::SystemClock>()), clock_(*own_clock_)
{
}

MemoryStorage::MemoryStorage(base::Clock& clock) : clock_(clock) {}

MemoryStorage::~MemoryStorage() = default;

void MemoryStorage::crash_at(std::size_t k, Step step)
{
    CHECK(k > 0);
    std::lock_guard lock{mutex_};
    crash_at_ = steps_ + k;
    crash_step_ = step;
}

bool MemoryStorage::crashed() const
{
    std::lock_guard lock{mutex_};
    return crashed_;
}

void MemoryStorage::reopen()
{
    std::lock_guard lock{mutex_};
    crashed_ = false;
    crash_at_.reset();
    ++life_;
}

std::size_t MemoryStorage::steps() const
{
    std::lock_guard lock{mutex_};
    return steps_;
}

void MemoryStorage::require_alive() const
{
    if (crashed_) throw CrashError{};
}

/// As in a file system, a name is an object or a folder, not both.
void MemoryStorage::require_no_clash(std::string_view key) const
{
    auto refuse = [&](std::string_view object) {
        throw base::Error{base::Code::usage,
                          fmt::format("{} cannot be an object and a folder at once", object)};
    };
    std::string folder = std::string(key) + "/";
    auto inside = objects_.lower_bound(folder);
    if (inside != objects_.end() && inside->first.starts_with(folder)) refuse(key);
    for (auto slash = key.find('/'); slash != std::string_view::npos;
         slash = key.find('/', slash + 1)) {
        if (objects_.contains(key.substr(0, slash))) refuse(key.substr(0, slash));
    }
}

void MemoryStorage::step(const std::function<void()>& effect)
{
    require_alive();
    ++steps_;
    crashed_ = crash_at_ && steps_ >= *crash_at_;
    if (!crashed_ || crash_step_ == Step::applied) effect();
    require_alive();
}

Traits MemoryStorage::traits()
{
    std::lock_guard lock{mutex_};
    require_alive();
    return {.kind = "memory", .where = "memory", .free_bytes = {}, .device = {}};
}

std::unique_ptr<ObjectWriter> MemoryStorage::create(std::string_view key)
{
    require_key(key);
    std::lock_guard lock{mutex_};
    require_alive();
    return std::make_unique<Writer>(*this, std::string(key), life_);
}

std::unique_ptr<base::ByteSource> MemoryStorage::open(std::string_view key,
                                                      std::optional<Range> range)
{
    require_key(key);
    std::lock_guard lock{mutex_};
    require_alive();
    auto found = objects_.find(key);
    if (found == objects_.end()) return nullptr;
    return std::make_unique<MemorySource>(found->second.bytes, range);
}

std::optional<ObjectInfo> MemoryStorage::stat(std::string_view key)
{
    require_key(key);
    std::lock_guard lock{mutex_};
    require_alive();
    auto found = objects_.find(key);
    if (found == objects_.end()) return std::nullopt;
    return ObjectInfo{found->first, found->second.bytes->size(), found->second.modified};
}

std::vector<ObjectInfo> MemoryStorage::list(std::string_view prefix)
{
    require_prefix(prefix);
    std::lock_guard lock{mutex_};
    require_alive();
    std::vector<ObjectInfo> out;
    for (auto at = objects_.lower_bound(prefix);
         at != objects_.end() && at->first.starts_with(prefix); ++at) {
        out.push_back({at->first, at->second.bytes->size(), at->second.modified});
    }
    return out;
}

bool MemoryStorage::remove(std::string_view key)
{
    require_key(key);
    std::lock_guard lock{mutex_};
    bool removed = false;
    step([&] {
        auto found = objects_.find(key);
        if (found == objects_.end()) return;
        objects_.erase(found);
        removed = true;
    });
    return removed;
}

base::Time MemoryStorage::now()
{
    std::lock_guard lock{mutex_};
    require_alive();
    return clock_.now();
}

} // namespace tidemark::store
