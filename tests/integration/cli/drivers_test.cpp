// Groups whose transactions are written by real drivers: what they make of a transaction's name is
// read by the presets of gid_pattern, so that a transaction that is half finished at the mark is
// finished on the other member, too.

#include "base/ci_testing.h"
#include "base/fd.h"
#include "cli/group_lab.h"
#include "engine/postgres/pq.h"

#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

namespace tidemark::support {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using engine::postgres::Connection;

const fs::path kDrivers = fs::path(TIDEMARK_SOURCE_DIR) / "tests/integration/cli/drivers";
constexpr const char* kPython = "/usr/bin/python3";
constexpr const char* kJar = "/usr/share/java/postgresql.jar";
constexpr const char* kNoPsycopg = "Debian's package python3-psycopg2 is not installed";
constexpr const char* kNoPgjdbc =
    "Debian's packages libpostgresql-jdbc-java and default-jdk-headless are not installed";

bool works(const std::vector<std::string>& argv)
{
    try {
        return base::run(argv, {.deadline = 60s}).exit.success();
    } catch (const base::Error&) {
        return false;
    }
}

/// What the clients were told until now.
struct Told {
    std::set<std::int64_t> committed, rolled_back;
};

Told told(const std::string& out)
{
    Told result;
    std::istringstream lines(out.substr(0, out.rfind('\n') + 1));
    std::string word;
    std::int64_t number = 0;
    while (lines >> word >> number) {
        if (word == "ok") result.committed.insert(number);
        if (word == "no" || word == "open") result.rolled_back.insert(number);
    }
    return result;
}

class DriversTest : public ::testing::Test {
protected:
    void SetUp() override
    {
        for (std::size_t i = 0; i < lab_.size(); ++i) {
            auto sql = Connection::open(lab_.cluster(i).conninfo());
            sql.exec("CREATE TABLE public.ledger (id bigint PRIMARY KEY, delta bigint NOT NULL)");
        }
    }
    void TearDown() override
    {
        for (const auto& dir : restored_)
            stop_restored(dir);
    }

    ToolRun run(Tool::Arguments arguments) const
    {
        arguments.insert(arguments.end(), {"--config", config().string(), "--json"});
        return tool_.run(arguments);
    }
    fs::path config() const { return work_.path() / "tidemark.toml"; }
    fs::path stop_file() const { return work_.path() / "stop"; }

    void make_group(const std::string& preset)
    {
        Tool::Arguments arguments{"init", "--group", "shop", "--repo",
                                  (work_.path() / "repository").string()};
        for (std::size_t i = 0; i < lab_.size(); ++i)
            arguments.push_back(fmt::format("m{}={}", i, lab_.cluster(i).url()));
        auto made = run(arguments);
        ASSERT_EQ(made.code(), 0) << made.text();
        std::ofstream(config(), std::ios::app) << "gid_pattern = \"" << preset << "\"\n";
        auto text = std::string(base::as_text(base::read_file(config(), 1U << 20)));
        auto first = text.find("\n[[group.shop.member]]", text.find("[[group.shop.member]]") + 1);
        ASSERT_NE(first, std::string::npos) << text;
        text.insert(first, "gid_pattern = \"" + preset + "\"\n");
        base::replace_file(config(), base::as_bytes(text));
        auto backup = run({"backup"});
        ASSERT_EQ(backup.code(), 0) << backup.text();
    }

    struct Member {
        std::map<std::int64_t, std::int64_t> rows;
        std::int64_t prepared = 0;
    };
    Member read(const nlohmann::json& restored) const
    {
        auto sql = Connection::open(fmt::format("host={} port={} user=postgres dbname=postgres",
                                                restored.at("socket_dir").get<std::string>(),
                                                restored.at("port").get<int>()));
        Member out;
        auto rows = sql.exec("SELECT id, delta FROM public.ledger");
        for (int i = 0; i < rows.rows(); ++i)
            out.rows.emplace(rows.integer(i, 0).value(), rows.integer(i, 1).value());
        out.prepared = sql.exec("SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_xacts")
                           .integer(0, 0)
                           .value();
        return out;
    }

    /// Restores the mark: no transfer is half there, what was told before it is there.
    void expect_whole(const std::string& mark, const Told& before)
    {
        SCOPED_TRACE(mark);
        auto dir = work_.path() / ("r-" + mark);
        restored_.push_back(dir);
        auto restored = run({"restore", "--to", mark, "--dir", dir.string(), "--start"});
        ASSERT_EQ(restored.code(), 0) << restored.text();
        const auto members = restored.json().at("report").at("members");
        auto m0 = read(members.at(0)), m1 = read(members.at(1));
        EXPECT_EQ(m0.prepared + m1.prepared, 0);
        std::int64_t sum = 0;
        std::set<std::int64_t> ids0, ids1;
        for (const auto& [id, delta] : m0.rows) {
            ids0.insert(id);
            sum += delta;
        }
        for (const auto& [id, delta] : m1.rows) {
            ids1.insert(id);
            sum += delta;
        }
        EXPECT_EQ(ids0, ids1) << "a transfer is half there";
        EXPECT_EQ(sum, 0);
        for (auto id : before.committed)
            EXPECT_TRUE(ids0.contains(id)) << id << " was acknowledged before the mark";
        for (auto id : before.rolled_back)
            EXPECT_FALSE(ids0.contains(id)) << id;
        in_doubt_ += members.at(0).at("decisions").size() + members.at(1).at("decisions").size();
        ids_ = ids0;
        stop_restored(dir);
        fs::remove_all(dir);
    }

    void drive(const std::vector<std::string>& argv)
    {
        auto clients = base::Process::spawn(argv);
        auto wait_for = [&](std::size_t more) {
            auto wanted = told(clients.out()).committed.size() + more;
            return eventually([&] {
                return told(clients.out()).committed.size() >= wanted || !clients.running();
            });
        };
        std::map<std::string, Told> before;
        for (const char* name : {"early", "middle", "late"}) {
            ASSERT_TRUE(wait_for(60) && clients.running()) << clients.err();
            before[name] = told(clients.out());
            auto mark = run({"mark", "--name", name});
            ASSERT_EQ(mark.code(), 0) << mark.text();
        }
        std::ofstream(stop_file()) << "now";
        auto exit = clients.wait_for(60s);
        ASSERT_TRUE(exit && exit->success()) << clients.err();
        before["end"] = told(clients.out());
        before["end"].committed.insert(1); // half: committed at m0, so everywhere
        auto mark = run({"mark", "--name", "end"});
        ASSERT_EQ(mark.code(), 0) << mark.text();
        for (const auto& [name, what] : before)
            expect_whole(name, what);
        EXPECT_GE(in_doubt_, 3U) << "two branches that are open, and the rest of the half one";
        auto verify = run({"audit", "end"});
        EXPECT_EQ(verify.code(), 0) << verify.text();
    }

    Lab lab_{2, {.settings = {{"max_slot_wal_keep_size", "4GB"}}, .tcp = true}};
    app::LabFolder work_;
    Tool tool_{work_.path() / "scratch"};
    std::vector<fs::path> restored_;
    std::size_t in_doubt_ = 0;
    std::set<std::int64_t> ids_;
};

TEST_F(DriversTest, Psycopg)
{
    const bool ready = works({kPython, "-c", "import psycopg2"});
    ASSERT_TRUE(ready || !base::nothing_may_be_skipped()) << kNoPsycopg;
    if (!ready) GTEST_SKIP() << kNoPsycopg;
    make_group("psycopg");
    if (HasFatalFailure()) return;
    drive({kPython, kDrivers / "transfers.py", lab_.cluster(0).conninfo(),
           lab_.cluster(1).conninfo(), stop_file()});
}

TEST_F(DriversTest, Pgjdbc)
{
    const bool ready = fs::exists(kJar) && works({"javac", "-version"});
    ASSERT_TRUE(ready || !base::nothing_may_be_skipped()) << kNoPgjdbc;
    if (!ready) GTEST_SKIP() << kNoPgjdbc;
    make_group("pgjdbc");
    if (HasFatalFailure()) return;
    auto port = [&](std::size_t i) { return std::to_string(lab_.cluster(i).port()); };
    drive({"java", "-cp", kJar, kDrivers / "Transfers.java", port(0),
           lab_.cluster(0).superuser_password(), port(1), lab_.cluster(1).superuser_password(),
           stop_file()});
}

} // namespace
} // namespace tidemark::support
