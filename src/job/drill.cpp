#include "job/drill.h"

#include "base/error.h"
#include "base/real_folder.h"
#include "job/drill_findings.h"
#include "job/group_restore.h"
#include "job/production_disk.h"
#include "job/reading.h"
#include "job/restore_space.h"
#include "job/scratch.h"
#include "job/stage_recorder.h"

#include <fmt/format.h>
#include <unistd.h>

namespace tidemark::job {

using base::Code;
using base::Error;
using model::CheckResult;
namespace fs = std::filesystem;

namespace {

/// Says nothing about the backup, only about this machine or this moment.
bool is_about_us(Code code)
{
    switch (code) {
    case Code::usage:
    case Code::lease_held:
    case Code::repository_unreachable:
    case Code::repository_newer:
    case Code::member_not_ready:
    case Code::target_not_empty:
    case Code::out_of_space:
    case Code::cancelled:
        return true;
    default:
        return false;
    }
}

/// True of every restore of this mark, also where it was found before the first byte, or while the
/// disk was running full.
bool is_about_the_mark(Code code)
{
    return code == Code::not_restorable || code == Code::point_not_reachable ||
           code == Code::log_gap;
}

/// One drill, from the scratch folder to the last check.
class Practice {
public:
    Practice(const Context& context, const repo::RestorePlan& plan, const DrillOptions& options,
             StageRecorder& recorder, model::Drill& report)
        : context_(context), plan_(plan), options_(options), recorder_(recorder), report_(report)
    {
        restore_ = options.restore;
        restore_.scratch = true;
        restore_.map.clear();
        restore_.tablespaces.clear();
        restore_.goals.clear();
        restore_.force = restore_.start = restore_.as_production = false;
    }

    void run()
    {
        find_room();
        try {
            bring_up();
            require_margin();
            check_content();
            require_margin();
            ask();
            stop_servers();
            check_pages();
        } catch (const Error& error) {
            // Else it says that it was stopped, and not why; a verdict on the mark is not ours to
            // throw away.
            if (!is_about_the_mark(error.code())) require_margin();
            if (!is_about_us(error.code())) require_room_left(scratch_->path(), error.what());
            throw;
        }
        if (!report_.passed()) require_room_left(scratch_->path(), "not all checks passed");
    }

    /// Never stopped, never throws: what goes wrong becomes a warning. Returns the folder if it
    /// stays.
    std::optional<fs::path> take_down()
    {
        if (!scratch_) return std::nullopt;
        group_stage("tear down");
        std::optional<fs::path> kept;
        try {
            if (group_) {
                for (std::size_t i = 0; i < group_->crew().size(); ++i)
                    group_->member(i).target().clean_up();
            }
            group_.reset();
            if (options_.keep) kept = scratch_->path();
            options_.keep ? scratch_->keep() : scratch_->remove();
        } catch (const Error& error) {
            report_.warnings.push_back("the scratch folder was not taken down: " +
                                       std::string(error.what()));
        }
        return kept;
    }

private:
    void group_stage(std::string_view what) { recorder_.stage(context_.group.name, what, 0); }

    /// What else goes wrong before the first byte is restored says nothing about the backup.
    void find_room()
    {
        try {
            make_room();
        } catch (const Error& error) {
            if (is_about_us(error.code()) || is_about_the_mark(error.code())) throw;
            throw Error{Code::member_not_ready,
                        fmt::format("the drill could not be made: {}", error.what()),
                        {.hint = error.hint().empty()
                                     ? "let --dir name a folder that this user may write"
                                     : error.hint()}};
        }
    }

    void make_room()
    {
        auto parent = base::resolve_links(options_.parent);
        clear_away(parent);
        group_stage("make room");
        require_room_for_all(parent);
        std::optional<base::User> owner;
        if (!restore_.user.empty()) {
            auto user = base::lookup_user(restore_.user);
            if (user.uid != ::geteuid()) owner = user;
        }
        scratch_.emplace(parent, owner);
        restore_.dir = scratch_->path();
        group_.emplace(context_, plan_, restore_);
        group_->preflight();
    }

    /// A drill has time: unlike a restore it does not begin where the log could fill the disk.
    void require_room_for_all(const fs::path& parent)
    {
        auto room = room_of(plan_);
        auto sum =
            fmt::format("{} for the backups and the servers, up to {} for what the log adds",
                        base::format_size(room.least), base::format_size(room.most - room.least));
        if (auto place = on_disk_of(parent, production())) {
            disk_.emplace(parent, *place, context_.stop);
            context_.stop = disk_->stop();
            room.most += disk_->margin();
            sum += fmt::format(", and {} stay free for {} on the same disk",
                               base::format_size(disk_->margin()), disk_->place().string());
        }
        require_space(parent, room.most, sum);
    }

    /// What is written to while the drill works, as far as it is on this host: where the servers
    /// and the repository are, by the configuration and by the backups.
    std::vector<fs::path> production() const
    {
        std::vector<fs::path> data;
        for (const auto& member : context_.group.members)
            if (member.data_dir) data.push_back(*member.data_dir);
        for (const auto& [name, member] : plan_.members)
            data.emplace_back(member.backup.value.identity.data_directory);
        std::vector<fs::path> places;
        for (const auto& folder : data) {
            if (folder.empty()) continue;
            places.push_back(folder);
            places.push_back(folder / "pg_wal");
        }
        if (!restore_.repository.empty()) places.push_back(restore_.repository);
        return places;
    }

    void require_margin() const
    {
        if (disk_) disk_->require_margin();
    }

    /// What an earlier drill left takes time that no restore in earnest needs.
    void clear_away(const fs::path& parent)
    {
        auto start = recorder_.since_start();
        group_stage("clear away");
        for (const auto& path :
             remove_abandoned(parent, [&](const fs::path& folder) { stop_abandoned(folder); }))
            context_.progress.note("removed " + path.string() + ", which a killed drill left");
        cleared_ = recorder_.since_start() - start;
    }

    void stop_abandoned(const fs::path& folder)
    {
        std::error_code error;
        for (const auto& entry : fs::directory_iterator(folder, error)) {
            if (!fs::is_directory(entry.path() / "data", error)) continue;
            model::MemberSpec spec;
            spec.name = entry.path().filename().string();
            engine::TargetConfig config;
            config.member = spec.name;
            config.dir = entry.path() / "data";
            config.work_dir = entry.path() / "tidemark";
            config.user = restore_.user;
            context_.engine(spec).open_target(config)->clean_up();
        }
    }

    void bring_up()
    {
        recorder_.finished(context_.group.name);
        Reading reading(context_, plan_);
        try {
            group_->begin();
            group_->recover();
            group_->open();
        } catch (const Error& error) {
            if (!is_about_us(error.code()))
                report_.checks.push_back(
                    {.name = "recovery", .result = CheckResult::failed, .text = error.what()});
            throw;
        }
        report_.restore_took = recorder_.since_start() - cleared_;
        add_restore(report_, group_->report());
    }

    void check_content()
    {
        each_member("amcheck", [&](engine::RestoreTarget& target, std::stop_token stop) {
            return content_check(target.check_content(context_.workers, stop));
        });
    }

    void check_pages()
    {
        each_member("checksums", [&](engine::RestoreTarget& target, std::stop_token stop) {
            return page_check(target.check_pages(context_.workers, stop));
        });
    }

    /// An Error about the data is a failed check of that member; the others go on.
    template <typename Look> void each_member(const std::string& name, Look look)
    {
        std::vector<model::DrillCheck> checks(group_->crew().size());
        group_->crew().run_to_end([&](std::size_t i, std::stop_token stop) {
            const auto& member = group_->crew().name(i);
            recorder_.stage(member, name, 0);
            auto start = recorder_.since_start();
            try {
                checks[i] = look(group_->member(i).target(), stop);
            } catch (const Error& error) {
                if (is_about_us(error.code())) throw;
                checks[i] = {.name = name, .result = CheckResult::failed, .text = error.what()};
            }
            checks[i].member = member;
            checks[i].took = recorder_.since_start() - start;
            recorder_.finished(member);
        });
        for (auto& check : checks)
            report_.checks.push_back(std::move(check));
    }

    void ask()
    {
        if (options_.assertions.empty()) return;
        group_stage("assertions");
        for (const auto& assertion : options_.assertions) {
            auto start = recorder_.since_start();
            auto checks = judge(assertion, answers(assertion), last_sum(assertion));
            auto took = recorder_.since_start() - start;
            for (auto& check : checks) {
                check.took = took;
                report_.checks.push_back(std::move(check));
            }
        }
        recorder_.finished(context_.group.name);
    }

    std::vector<Answer> answers(const Assertion& assertion)
    {
        std::vector<Answer> all(assertion.members.size());
        Crew(assertion.members, context_.stop).run_to_end([&](std::size_t i, std::stop_token stop) {
            all[i].member = assertion.members[i];
            try {
                all[i].value =
                    target_of(assertion.members[i]).ask(assertion.database, assertion.sql, stop);
            } catch (const Error& error) {
                if (error.code() == Code::cancelled) throw;
                all[i].error = error.what();
            }
        });
        return all;
    }

    engine::RestoreTarget& target_of(const std::string& member)
    {
        for (std::size_t i = 0; i < group_->crew().size(); ++i) {
            if (group_->crew().name(i) == member) return group_->member(i).target();
        }
        throw Error{Code::failed, "member " + member + " is not part of this mark"};
    }

    /// What the newest drill that passed this assertion found.
    std::optional<std::string> last_sum(const Assertion& assertion) const
    {
        if (assertion.expect != Assertion::Expect::constant) return std::nullopt;
        for (const auto& drill : repo::Drills(context_.storage(), plan_.group).list(kLookBack)) {
            for (const auto& check : drill.value.checks) {
                if (check.name == "assertion" && check.subject == assertion.name &&
                    check.member.empty() && check.result == CheckResult::passed && check.value)
                    return check.value;
            }
        }
        return std::nullopt;
    }

    void stop_servers()
    {
        group_->crew().run_to_end([&](std::size_t i, std::stop_token) {
            recorder_.stage(group_->crew().name(i), "stop", 0);
            group_->member(i).target().stop();
            recorder_.finished(group_->crew().name(i));
        });
    }

    static constexpr std::size_t kLookBack = 100;

    Context context_;
    const repo::RestorePlan& plan_;
    const DrillOptions& options_;
    StageRecorder& recorder_;
    model::Drill& report_;
    RestoreOptions restore_;
    base::Duration cleared_{};
    std::optional<ProductionDisk> disk_;
    std::optional<Scratch> scratch_; // outlives the servers in it
    std::optional<GroupRestore> group_;
};

} // namespace

DrillOutcome drill_group(const Context& context, const repo::RestorePlan& plan,
                         const DrillOptions& options)
{
    DrillOutcome outcome{.report = new_drill_report(context, plan), .number = {}, .kept = {}};
    auto& report = outcome.report;
    for (const auto& note : plan.notes)
        context.progress.note(note);
    StageRecorder recorder(context.progress, context.group.name);
    auto telling = context.telling(recorder);
    Practice practice(telling, plan, options, recorder, report);
    try {
        practice.run();
    } catch (const Error& error) {
        if (is_about_us(error.code())) {
            practice.take_down();
            for (const auto& warning : report.warnings)
                context.progress.warn(warning);
            throw;
        }
        report.failure = error.what();
    }
    outcome.kept = practice.take_down();
    report.stages = recorder.take();
    report.ended = context.clock.now();
    try {
        outcome.number = repo::Drills(context.storage(), plan.group).append(report).number();
    } catch (const Error& error) {
        context.progress.warn("the drill's report could not be written into the repository: " +
                              std::string(error.what()));
    }
    return outcome;
}

} // namespace tidemark::job
