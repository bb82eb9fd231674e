#include "job/crew.h"

#include "base/error.h"
#include "base/task_group.h"

#include <optional>
#include <system_error>
#include <utility>

namespace tidemark::job {

namespace {

/// What the standard library throws: no less an error of one member.
base::Error as_error(const std::exception& error)
{
    const auto* system = dynamic_cast<const std::system_error*>(&error);
    if (system != nullptr && system->code() == std::errc::no_space_on_device)
        return {base::Code::out_of_space,
                error.what(),
                {.hint = "free some space and run the same command again"}};
    return {base::Code::failed, error.what()};
}

} // namespace

Crew::Crew(std::vector<std::string> names, std::stop_token stop)
    : names_(std::move(names)), stop_(std::move(stop))
{
}

void Crew::run(const Work& work) const
{
    base::TaskGroup group(stop_);
    for (std::size_t member = 0; member < names_.size(); ++member) {
        group.add([&, member](std::stop_token stop) {
            base::with_context("member " + names_[member], [&] { work(member, stop); });
        });
    }
    group.wait();
}

void Crew::run_to_end(const Work& work) const
{
    std::vector<std::optional<base::Error>> errors(names_.size());
    run([&](std::size_t member, std::stop_token stop) {
        try {
            work(member, stop);
        } catch (const base::Error& error) {
            errors[member] = error;
        } catch (const std::exception& error) {
            errors[member] = as_error(error);
        }
    });
    std::optional<base::Error> first;
    for (std::size_t member = 0; member < names_.size(); ++member) {
        if (!errors[member]) continue;
        errors[member]->add_context("member " + names_[member]);
        if (!first)
            first = errors[member];
        else
            first->add_context(std::string("also failed: ") + errors[member]->what() + "; first");
    }
    if (first) throw base::Error(std::move(*first));
}

void Crew::run_together(const Work& work) const
{
    std::latch gate(static_cast<std::ptrdiff_t>(names_.size()));
    run([&](std::size_t member, std::stop_token stop) {
        gate.arrive_and_wait();
        work(member, stop);
    });
}

} // namespace tidemark::job
