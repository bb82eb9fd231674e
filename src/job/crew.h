#pragma once

#include <cstddef>
#include <functional>
#include <latch>
#include <stop_token>
#include <string>
#include <vector>

namespace tidemark::job {

/// Runs one function per member at the same time, each on its own thread, and waits for all. The
/// first error stops the others' stop token and is thrown; it carries the member's name as context.
class Crew {
public:
    Crew(std::vector<std::string> names, std::stop_token stop);

    std::size_t size() const { return names_.size(); }
    const std::string& name(std::size_t member) const { return names_[member]; }

    using Work = std::function<void(std::size_t member, std::stop_token stop)>;
    void run(const Work& work) const;
    /// An error does not stop the others: all go to their end, then the first error (in the
    /// members' order) is thrown and names the other members that failed. It is an Error, whatever
    /// kind of exception `work` ended with.
    void run_to_end(const Work& work) const;
    /// The same, but no one starts before all threads stand ready: for what should happen at one
    /// moment.
    void run_together(const Work& work) const;

private:
    std::vector<std::string> names_;
    std::stop_token stop_;
};

} // namespace tidemark::job
