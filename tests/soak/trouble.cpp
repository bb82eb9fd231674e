#include "trouble.h"

#include "cli/group_lab.h"
#include "engine/postgres/pq.h"

#include <chrono>
#include <csignal>
#include <memory>
#include <thread>

namespace tidemark::support {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

class Maker {
public:
    Maker(SoakGroup& group, base::Random& random) : group_(group), random_(random) {}

    app::LabCluster& anyone() { return group_.cluster(random_.below(group_.size())); }
    std::chrono::milliseconds within(std::uint64_t limit_ms)
    {
        return std::chrono::milliseconds{random_.below(limit_ms)};
    }

    Trouble member_down()
    {
        auto* one = &anyone();
        return {.name = one->name() + " is down",
                .before = [one] { one->stop(); },
                .after = [one] { one->start(); }};
    }

    Trouble server_killed()
    {
        auto* one = &anyone();
        auto when = within(300);
        return {.name = one->name() + "'s server is killed under way",
                .during =
                    [one, when](base::Process& program) {
                        program.wait_for(when);
                        one->kill9();
                    },
                .after = [one] { one->start(); }};
    }

    Trouble server_frozen()
    {
        auto* one = &anyone();
        auto frozen = std::make_shared<std::unique_ptr<Frozen>>();
        return {.name = one->name() + "'s server does not move",
                .before = [one, frozen] { *frozen = std::make_unique<Frozen>(*one); },
                .during = [](base::Process& program) { program.wait_for(15s); },
                .after = [frozen] { frozen->reset(); }};
    }

    Trouble program_killed(const std::string& command, std::uint64_t limit_ms)
    {
        auto when = within(limit_ms);
        return {.name = "tidemark " + command + " is killed",
                .command = {command},
                .during =
                    [when](base::Process& program) {
                        program.wait_for(when);
                        program.kill(SIGKILL);
                    },
                .kills_the_program = true};
    }

    Trouble program_stopped_for_a_while()
    {
        auto when = within(200);
        return {.name = "tidemark run sleeps for two seconds", .during = [when](base::Process& it) {
                    it.wait_for(when);
                    it.kill(SIGSTOP);
                    std::this_thread::sleep_for(2s);
                    it.kill(SIGCONT);
                }};
    }

    Trouble repository_gone()
    {
        auto here = group_.repository();
        auto there = group_.folder() / "unmounted";
        return {.name = "the repository is not mounted",
                .before = [=] { fs::rename(here, there); },
                .after =
                    [=] {
                        // Whatever a program made of the empty mount point would hide the disk.
                        fs::remove_all(here);
                        fs::rename(there, here);
                    }};
    }

    Trouble repository_goes()
    {
        auto here = group_.repository();
        auto there = group_.folder() / "unmounted";
        auto when = within(200);
        return {.name = "the repository goes away under way",
                .during =
                    [=](base::Process& program) {
                        program.wait_for(when);
                        fs::rename(here, there);
                        program.wait_for(60s);
                    },
                .after =
                    [=] {
                        fs::remove_all(here);
                        fs::rename(there, here);
                    }};
    }

    Trouble wrong_password()
    {
        auto* group = &group_;
        return {.name = "a password was changed",
                .before = [group] { group->change_password(false); },
                .after = [group] { group->change_password(true); }};
    }

    Trouble slot_dropped()
    {
        auto* one = &anyone();
        return {.name = one->name() + "'s slot is dropped",
                .command = {"status"},
                .before =
                    [one] {
                        auto sql = engine::postgres::Connection::open(one->url());
                        sql.exec("SELECT pg_drop_replication_slot(slot_name) FROM "
                                 "pg_replication_slots WHERE NOT active");
                        // Log that nobody keeps is recycled, or the chain would not be broken.
                        for (int i = 0; i < 3; ++i) {
                            sql.exec("SELECT pg_switch_wal()");
                            sql.exec("CHECKPOINT");
                        }
                    },
                .breaks_the_chain = true};
    }

    Trouble fail_over()
    {
        auto* group = &group_;
        auto when = within(300);
        return {.name = "m3 fails over to its standby",
                .during =
                    [group, when](base::Process& program) {
                        program.wait_for(when);
                        group->pair().fail_over();
                    },
                .after = [group] { group->pair().rejoin(); }};
    }

    Trouble others_at_work()
    {
        auto* group = &group_;
        auto more = std::make_shared<std::vector<base::Process>>();
        return {.name = "mark, log, expire and a full backup at the same time",
                .before =
                    [group, more] {
                        for (const char* command : {"backup", "mark", "log", "expire"})
                            more->push_back(group->spawn({command}));
                    },
                .after =
                    [more] {
                        for (auto& one : *more)
                            one.wait_for(120s);
                        more->clear();
                    }};
    }

private:
    SoakGroup& group_;
    base::Random& random_;
};

} // namespace

std::vector<Trouble> troubles(SoakGroup& group, base::Random& random)
{
    Maker make(group, random);
    std::vector<Trouble> all;
    all.push_back(make.member_down());
    all.push_back(make.server_killed());
    all.push_back(make.server_frozen());
    all.push_back(make.program_killed("run", 300));
    all.push_back(make.program_killed("backup", 1500));
    all.push_back(make.program_killed("expire", 60));
    all.push_back(make.program_stopped_for_a_while());
    all.push_back(make.repository_gone());
    all.push_back(make.repository_goes());
    all.push_back(make.wrong_password());
    all.push_back(make.slot_dropped());
    all.push_back(make.fail_over());
    all.push_back(make.others_at_work());
    return all;
}

} // namespace tidemark::support
