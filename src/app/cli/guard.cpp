#include "app/cli/guard.h"

#include "app/wiring.h"
#include "base/log.h"
#include "repo/identities.h"

#include <fmt/format.h>

namespace tidemark::app {

namespace {

/// Failed log backups in a row beside a full backup: sooner it may be a server that restarts.
constexpr int kLastingFrom = 3;

std::optional<repo::GuardMemory> memory_of(Environment& environment,
                                           const std::filesystem::path& folder)
{
    if (folder.empty()) return std::nullopt;
    return repo::GuardMemory(folder, environment.repository_spec().url, environment.group().name);
}

} // namespace

RunGuard::RunGuard(Environment& environment, const std::filesystem::path& folder)
    : environment_(environment), memory_(memory_of(environment, folder)),
      group_{.group = environment.group(),
             .engine = [](const model::MemberSpec& member) -> engine::Engine& {
                 return engine_for(member.url);
             },
             .progress = environment.progress(),
             .clock = environment.clock(),
             .stop = environment.stop(),
             .clusters = [this] { return clusters(); },
             .dropped = [this](const std::string& sentence) { note(sentence); },
             .warned = std::make_shared<std::set<std::string>>()}
{
}

std::optional<job::KnownClusters> RunGuard::clusters()
{
    try {
        job::KnownClusters out;
        auto& storage = environment_.repository().storage();
        for (const auto& member : group_.group.members) {
            repo::Identities identities(storage,
                                        {.group = group_.group.name, .member = member.name});
            if (auto recorded = identities.latest())
                out.emplace(member.name, recorded->value.identity.system_id);
        }
        return out;
    } catch (const std::exception& error) {
        base::log_debug("log guard: the repository cannot be asked: {}", error.what());
    }
    try {
        if (memory_) return memory_->clusters();
    } catch (const std::exception& error) {
        base::log_debug("log guard: {}", error.what());
    }
    return std::nullopt;
}

void RunGuard::tell_forgetful(const std::string& why)
{
    environment_.progress().note(
        fmt::format("while the repository is away the log guard will drop nothing: this host "
                    "cannot remember whose clusters these are ({})",
                    why));
}

void RunGuard::remember_clusters()
{
    if (!memory_) {
        if (group_.group.log_guard.drop)
            tell_forgetful("it has no folder for that: XDG_STATE_HOME or HOME must name one");
        return;
    }
    try {
        if (auto known = clusters()) memory_->remember(*known);
    } catch (const std::exception& error) {
        tell_forgetful(error.what());
    }
}

void RunGuard::tell_earlier()
{
    if (!memory_) return;
    try {
        for (auto& deed : memory_->deeds()) {
            environment_.progress().warn(fmt::format("at {}, when no run could be recorded: {}",
                                                     base::format_time_human(deed.at), deed.text));
            told_.push_back(std::move(deed));
        }
    } catch (const std::exception& error) {
        base::log_debug("log guard: {}", error.what());
    }
}

void RunGuard::note(const std::string& sentence)
{
    dropped_.push_back(sentence);
    repo::GuardDeed deed{.at = environment_.clock().now(), .text = sentence};
    try {
        if (memory_) memory_->add(deed);
        told_.push_back(std::move(deed));
    } catch (const std::exception& error) {
        environment_.progress().warn(
            fmt::format("this host cannot note that a slot was dropped: {}", error.what()));
    }
}

bool RunGuard::relieve_meanwhile(int in_a_row)
{
    auto guarded = group_;
    guarded.lasting = in_a_row >= kLastingFrom;
    return !job::relieve_servers(guarded).empty();
}

void RunGuard::recorded()
{
    if (!memory_ || told_.empty()) return;
    try {
        memory_->forget(told_);
    } catch (const std::exception& error) {
        base::log_debug("log guard: {}", error.what());
    }
}

std::string RunGuard::first_of_all(const std::string& message) const
{
    std::string out;
    for (const auto& sentence : dropped_)
        out += sentence + "; ";
    return out + message;
}

} // namespace tidemark::app
