#pragma once

#include "model/intent.h"
#include "store/storage.h"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace tidemark::repo {

struct StoredIntent {
    model::Intent value;
    std::string key;
    base::Time renewed;   ///< by the store's clock
    bool readable = true; ///< false: damaged; what it protects is not known
    bool in_force(base::Time store_now) const;
};

base::Bytes encode_intent(const model::Intent& intent);
model::Intent decode_intent(base::ByteView bytes, const std::string& key);

/// Every intent object of a group, ascending by number. Error{repository_newer}.
std::vector<StoredIntent> list_intents(store::Storage& storage, const std::string& group);

struct AnnouncementOptions {
    /// So long what is read stays after the last sign of life: a killed restore can go on till
    /// then.
    base::Duration ttl = std::chrono::hours{24};
    base::Duration every = std::chrono::hours{1}; ///< a thread renews so often
};

/// An intent that is kept up until it is destroyed. Numbers only grow: the newest object of the
/// group stays as a withdrawn one, until a later one is there.
class Announcement {
public:
    using Options = AnnouncementOptions;
    /// `intent` without number, token and ttl. Errors: those of the store (it may be read-only).
    static std::unique_ptr<Announcement> make(store::Storage& storage, model::Intent intent,
                                              const Options& options = {});
    ~Announcement(); ///< withdraws; errors are logged only
    Announcement(const Announcement&) = delete;
    Announcement& operator=(const Announcement&) = delete;

    void renew();

private:
    Announcement(store::Storage& storage, model::Intent intent);
    /// The next object first; then ours go, except the one before it: a listing that is under way
    /// finds one of the two.
    void advance();
    void keep_renewing(std::stop_token stop, base::Duration every);

    store::Storage& storage_;
    model::Intent mine_;
    std::vector<std::string> old_;
    std::mutex mutex_;
    std::condition_variable_any wake_;
    std::jthread renewer_;
};

} // namespace tidemark::repo
