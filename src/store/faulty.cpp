#include "store/faulty.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::store {

using base::Code;
using base::Error;

std::string_view operation_name(Operation operation)
{
    static constexpr std::array<std::string_view, kOperations> kNames = {
        "create", "write", "commit", "open", "read", "stat", "list", "remove", "now"};
    return kNames.at(static_cast<std::size_t>(operation));
}

class FaultyStorage::Writer final : public ObjectWriter {
public:
    Writer(FaultyStorage& storage, std::string key, std::unique_ptr<ObjectWriter> inner)
        : storage_(storage), key_(std::move(key)), inner_(std::move(inner))
    {
    }

    void write(base::ByteView bytes) override
    {
        storage_.enter(Operation::write, key_);
        storage_.use_space(bytes.size());
        inner_->write(bytes);
    }

    Created commit() override
    {
        storage_.enter(Operation::commit, key_);
        auto result = inner_->commit();
        if (result == Created::yes) storage_.note("commit", key_);
        return result;
    }

    std::uint64_t durable() const override { return inner_->durable(); }

private:
    FaultyStorage& storage_;
    std::string key_;
    std::unique_ptr<ObjectWriter> inner_;
};

class FaultyStorage::Source final : public base::ByteSource {
public:
    Source(FaultyStorage& storage, std::string key, std::unique_ptr<base::ByteSource> inner,
           std::uint64_t offset)
        : storage_(storage), key_(std::move(key)), inner_(std::move(inner)), at_(offset)
    {
    }

    std::size_t read(base::ByteSpan into) override
    {
        storage_.enter(Operation::read, key_);
        std::size_t got = inner_->read(into);
        std::uint64_t end = storage_.visible_size(key_, at_ + got);
        got = end > at_ ? static_cast<std::size_t>(end - at_) : 0;
        std::lock_guard lock{storage_.mutex_};
        auto [first, last] = storage_.corrupt_.equal_range(key_);
        for (auto flip = first; flip != last; ++flip) {
            if (flip->second >= at_ && flip->second - at_ < got)
                into[flip->second - at_] ^= std::byte{1};
        }
        at_ += got;
        return got;
    }

private:
    FaultyStorage& storage_;
    std::string key_;
    std::unique_ptr<base::ByteSource> inner_;
    std::uint64_t at_;
};

FaultyStorage::FaultyStorage(std::shared_ptr<Storage> inner) : inner_(std::move(inner)) {}

FaultyStorage::~FaultyStorage() = default;

void FaultyStorage::fail(Operation operation, Error error, When when)
{
    std::lock_guard lock{mutex_};
    faults_.push_back({operation, std::move(error), when});
}

void FaultyStorage::fail_any(Error error, When when)
{
    std::lock_guard lock{mutex_};
    faults_.push_back({std::nullopt, std::move(error), when});
}

void FaultyStorage::set_read_only(bool value)
{
    std::lock_guard lock{mutex_};
    read_only_ = value;
}

void FaultyStorage::set_space(std::uint64_t bytes)
{
    std::lock_guard lock{mutex_};
    space_ = bytes;
}

void FaultyStorage::corrupt(std::string_view key, std::uint64_t offset)
{
    std::lock_guard lock{mutex_};
    corrupt_.emplace(key, offset);
}

void FaultyStorage::cut(std::string_view key, std::uint64_t size)
{
    std::lock_guard lock{mutex_};
    cut_.insert_or_assign(std::string(key), size);
}

void FaultyStorage::hide(std::string_view key)
{
    std::lock_guard lock{mutex_};
    hidden_.insert_or_assign(std::string(key), true);
}

void FaultyStorage::before(Operation operation, std::function<void(std::string_view)> hook)
{
    std::lock_guard lock{mutex_};
    hooks_.insert_or_assign(operation, std::move(hook));
}

void FaultyStorage::heal()
{
    std::lock_guard lock{mutex_};
    faults_.clear();
    hooks_.clear();
    read_only_ = false;
    space_.reset();
    corrupt_.clear();
    cut_.clear();
    hidden_.clear();
}

std::size_t FaultyStorage::calls(Operation operation) const
{
    std::lock_guard lock{mutex_};
    return calls_.at(static_cast<std::size_t>(operation));
}

std::vector<std::string> FaultyStorage::trace() const
{
    std::lock_guard lock{mutex_};
    return trace_;
}

void FaultyStorage::note(std::string_view what, std::string_view key)
{
    std::lock_guard lock{mutex_};
    trace_.push_back(fmt::format("{} {}", what, key));
}

void FaultyStorage::enter(Operation operation, std::string_view key)
{
    std::function<void(std::string_view)> hook;
    {
        std::lock_guard lock{mutex_};
        if (auto found = hooks_.find(operation); found != hooks_.end()) hook = found->second;
    }
    if (hook) hook(key);
    std::lock_guard lock{mutex_};
    ++calls_.at(static_cast<std::size_t>(operation));
    for (auto& fault : faults_) {
        if (fault.operation && *fault.operation != operation) continue;
        if (fault.when.after > 0) {
            --fault.when.after;
        } else if (fault.when.times > 0) {
            if (fault.when.times != kAlways) --fault.when.times;
            throw Error{fault.error};
        }
    }
    bool changes = operation == Operation::create || operation == Operation::commit ||
                   operation == Operation::remove;
    if (read_only_ && changes) {
        throw Error{
            Code::repository_unreachable,
            fmt::format("cannot {} {}: Read-only file system", operation_name(operation), key),
            {.hint = "mount the repository for writing"}};
    }
}

void FaultyStorage::use_space(std::uint64_t bytes)
{
    std::lock_guard lock{mutex_};
    if (!space_) return;
    if (bytes > *space_) {
        space_ = 0;
        throw Error{Code::out_of_space,
                    "cannot write: No space left on device",
                    {.hint = "free some space in the repository"}};
    }
    *space_ -= bytes;
}

bool FaultyStorage::hidden(std::string_view key) const
{
    std::lock_guard lock{mutex_};
    return hidden_.contains(key);
}

std::uint64_t FaultyStorage::visible_size(std::string_view key, std::uint64_t size) const
{
    std::lock_guard lock{mutex_};
    auto found = cut_.find(key);
    return found == cut_.end() ? size : std::min(size, found->second);
}

Traits FaultyStorage::traits()
{
    return inner_->traits();
}

std::unique_ptr<ObjectWriter> FaultyStorage::create(std::string_view key)
{
    enter(Operation::create, key);
    return std::make_unique<Writer>(*this, std::string(key), inner_->create(key));
}

std::unique_ptr<base::ByteSource> FaultyStorage::open(std::string_view key,
                                                      std::optional<Range> range)
{
    enter(Operation::open, key);
    if (hidden(key)) return nullptr;
    auto source = inner_->open(key, range);
    if (!source) return nullptr;
    return std::make_unique<Source>(*this, std::string(key), std::move(source),
                                    range ? range->offset : 0);
}

std::optional<ObjectInfo> FaultyStorage::stat(std::string_view key)
{
    enter(Operation::stat, key);
    auto info = hidden(key) ? std::nullopt : inner_->stat(key);
    if (info) info->size = visible_size(key, info->size);
    return info;
}

std::vector<ObjectInfo> FaultyStorage::list(std::string_view prefix)
{
    enter(Operation::list, prefix);
    auto objects = inner_->list(prefix);
    std::erase_if(objects, [&](const auto& object) { return hidden(object.key); });
    for (auto& object : objects)
        object.size = visible_size(object.key, object.size);
    return objects;
}

bool FaultyStorage::remove(std::string_view key)
{
    enter(Operation::remove, key);
    bool removed = inner_->remove(key);
    if (removed) note("remove", key);
    return removed;
}

base::Time FaultyStorage::now()
{
    enter(Operation::now, "");
    return inner_->now();
}

} // namespace tidemark::store
