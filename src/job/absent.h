#pragma once

#include "base/error.h"

#include <map>
#include <mutex>
#include <string>

namespace tidemark::job {

/// The members that kept somebody waiting in this run and did not answer: nobody waits for them
/// again. Thread-safe.
class Absent {
public:
    /// `why` is what waiting for it ended with; it names the member.
    void add(const std::string& member, const base::Error& why);
    bool has(const std::string& member) const;
    std::map<std::string, base::Error> all() const;

private:
    mutable std::mutex mutex_;
    std::map<std::string, base::Error> members_;
};

} // namespace tidemark::job
