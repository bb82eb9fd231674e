// The last step of a restore on real servers: all members are opened, or none; and gids of any
// bytes are settled.

#include "cli/shared_group.h"
#include "engine/postgres/pq.h"
#include "engine/postgres/roles.h"

#include <csignal>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace tidemark::support {
namespace {

namespace fs = std::filesystem;
using engine::postgres::Connection;

constexpr const char* kForeignGid = "gr\xFCn #1";

class HandOverTest : public SharedGroupTest {
protected:
    static void SetUpTestSuite()
    {
        share_group([] {
            must(lab_->init());
            Connection::open(lab_->lab.cluster(1).conninfo())
                .exec("CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' "
                      "TEMPLATE template0");
            back_up_under_load({.before = 20, .after = 50});
            auto latin =
                Connection::open(lab_->lab.cluster(1).conninfo("latin"), {.encoding = "SQL_ASCII"});
            latin.exec("CREATE TABLE public.t(i int)");
            latin.exec(
                std::string("BEGIN; INSERT INTO public.t VALUES (1); PREPARE TRANSACTION '") +
                kForeignGid + "'");
            must(lab_->mark("last"));
        });
    }

    void TearDown() override
    {
        stop_restored(dir());
        fs::remove_all(dir());
    }

    static fs::path dir() { return lab_->target("r"); }
    static std::string phase_of(const std::string& member)
    {
        std::ifstream file(dir() / member / "tidemark/state.json");
        auto state = nlohmann::json::parse(file, nullptr, false);
        return state.is_object() ? state.value("phase", "") : "";
    }
    static fs::path report_file(const std::string& mark, const std::string& kind)
    {
        return dir() / ("restore-" + mark + "." + kind);
    }
    static bool runs(const std::string& member) { return server_runs(dir() / member / "data"); }
    static void expect_closed()
    {
        for (const char* member : {"m0", "m1"}) {
            EXPECT_FALSE(runs(member)) << member;
            EXPECT_EQ(phase_of(member), "settled") << member;
        }
    }
    static std::uint64_t prepared_in_latin()
    {
        auto conninfo =
            "host=" + (dir() / "m1/data").string() + " port=5432 user=postgres dbname=latin";
        auto rows = Connection::open(conninfo).exec("SELECT count(*) FROM pg_prepared_xacts");
        return static_cast<std::uint64_t>(rows.integer(0, 0).value_or(99));
    }
};

/// m0 could start on its production socket; m1 cannot, for production itself runs there.
TEST_F(HandOverTest, AMemberThatDoesNotStartKeepsAllClosed)
{
    lab_->lab.cluster(0).stop();
    auto refused = lab_->restore({"--to", "last", "--as-production"}, "r");
    EXPECT_EQ(refused.code(), 1) << refused.text();
    EXPECT_TRUE(refused.explained()) << refused.text();
    EXPECT_NE(refused.err.find("no member was left open"), std::string::npos) << refused.text();
    EXPECT_NE(refused.err.find("FATAL:"), std::string::npos) << refused.text();
    EXPECT_NE(refused.err.find("already exists"), std::string::npos) << refused.text();
    expect_closed();
    EXPECT_TRUE(fs::exists(dir() / "m0/data/server.log")) << "it was open for a moment";
    lab_->lab.cluster(0).start();
    EXPECT_TRUE(fs::exists(
        report_file(refused.json().at("plan").at("mark").at("id").get<std::string>(), "json")))
        << "written before anything was opened";
    // Killed between two hand-overs, or refused: the same command goes on, in another mode too.
    auto good = lab_->restore({"--to", "last"}, "r");
    EXPECT_EQ(good.code(), 0) << good.text();
    EXPECT_TRUE(lab_->check(good, "last").clean());
    auto again = lab_->restore({"--to", "last"}, "r");
    EXPECT_EQ(again.code(), 30) << again.text();
    EXPECT_NE(again.err.find("nothing is left to do"), std::string::npos) << again.text();
    EXPECT_TRUE(runs("m0") && runs("m1"));
}

TEST_F(HandOverTest, AConfigurationThatDoesNotStartIsFoundBeforeAnyIsOpened)
{
    auto& production = lab_->lab.cluster(1);
    auto sql = Connection::open(production.conninfo());
    sql.exec("ALTER SYSTEM SET shared_preload_libraries = 'no_such_library'");
    auto backup = lab_->backup("preloads");
    sql.exec("ALTER SYSTEM RESET shared_preload_libraries");
    ASSERT_EQ(backup.code(), 0) << backup.text();
    lab_->lab.cluster(0).stop();
    auto refused = lab_->restore({"--as-production"}, "r");
    lab_->lab.cluster(0).start();
    EXPECT_EQ(refused.code(), 21) << refused.text();
    EXPECT_TRUE(refused.explained()) << refused.text();
    EXPECT_NE(refused.err.find("no_such_library"), std::string::npos) << refused.text();
    expect_closed();
    EXPECT_FALSE(fs::exists(dir() / "m0/data/server.log")) << "m0 was opened";
}

TEST_F(HandOverTest, AKillBetweenTwoHandOversIsGoneOnFrom)
{
    auto first = lab_->restore({"--to", "last"}, "r");
    ASSERT_EQ(first.code(), 0) << first.text();
    // As it was before m1's state was written.
    auto file = dir() / "m1/tidemark/state.json";
    std::ifstream in(file);
    auto state = nlohmann::json::parse(in);
    state["phase"] = "settled";
    std::ofstream(file, std::ios::trunc) << state.dump();
    auto second = lab_->restore({"--to", "last"}, "r");
    ASSERT_EQ(second.code(), 0) << second.text();
    EXPECT_TRUE(lab_->check(second, "last").clean());
    EXPECT_EQ(first.json().at("report").at("members").at(1).at("decisions"),
              second.json().at("report").at("members").at(1).at("decisions"));
}

/// As on hosts that keep the configuration outside the data directory.
TEST_F(HandOverTest, TheCapturedConfigurationLiesBesideInQuarantine)
{
    auto& member = lab_->lab.cluster(1);
    auto etc = lab_->folder() / "etc";
    fs::create_directory(etc);
    fs::copy_file(member.data_dir() / "pg_hba.conf", etc / "pg_hba.conf");
    // A remark in an old encoding, which is no UTF-8.
    std::ofstream(etc / "pg_hba.conf", std::ios::app) << "# ours alone, f\xFCr uns\n";
    std::ofstream(etc / "more.conf") << "work_mem = '7MB'\n";
    for (const auto& path : {etc, etc / "pg_hba.conf", etc / "more.conf"})
        app::give_to_lab_user(path);
    auto in_etc = [&](const char* name) { return (etc / name).string(); };
    member.configure({{"hba_file", in_etc("pg_hba.conf")}, {"include", in_etc("more.conf")}});
    member.restart();
    auto backup = lab_->backup("captured");
    // The last one counts: the other tests' cluster is as it was.
    member.configure({{"hba_file", (member.data_dir() / "pg_hba.conf").string()}});
    member.restart();
    ASSERT_EQ(backup.code(), 0) << backup.text();
    auto restored = lab_->restore({}, "r");
    ASSERT_EQ(restored.code(), 0) << restored.text();

    auto data = dir() / "m1/data";
    auto text_of = [&](const char* name) {
        std::ifstream file(data / name);
        return std::string(std::istreambuf_iterator<char>(file), {});
    };
    EXPECT_NE(text_of("pg_hba.conf.from-backup").find("# ours alone, f\xFCr uns\n"),
              std::string::npos);
    EXPECT_EQ(text_of("pg_hba.conf").find("# ours alone"), std::string::npos);
    auto include = "captured" + in_etc("more.conf");
    EXPECT_NE(text_of(include.c_str()).find("work_mem = '7MB'"), std::string::npos);
    auto conf = text_of("postgresql.conf.from-backup");
    EXPECT_NE(conf.find((data / include).string()), std::string::npos) << conf;
    const auto document = restored.json();
    auto lines = document.at("report").at("members").at(1).at("changed_lines").dump();
    EXPECT_NE(lines.find("hba_file = '" + in_etc("pg_hba.conf") + "' -> "), std::string::npos)
        << restored.text();
}

/// What the role of `init --apply-sql` may not read is told by each backup and by check, and as
/// production before anything is written.
TEST_F(HandOverTest, ConfigurationThatCannotBeReadIsToldInTime)
{
    auto& member = lab_->lab.cluster(1);
    {
        auto admin = Connection::open(member.conninfo());
        engine::postgres::apply_sql(admin, {.version_num = admin.server_version()});
    }
    auto config = lab_->folder() / "as-tidemark.toml";
    {
        std::ifstream in(lab_->config);
        std::string text{std::istreambuf_iterator<char>(in), {}};
        const auto url = member.url();
        auto ours = url;
        ours.replace(ours.find("user=postgres"), 13, "user=tidemark");
        ASSERT_NE(text.find(url), std::string::npos) << text;
        const auto at = text.find(url);
        text.replace(at, url.size(), ours);
        // Over the wire: here the files could be read as any other.
        const auto local = text.find("data_dir = ", at);
        ASSERT_NE(local, std::string::npos) << text;
        text.erase(local, text.find('\n', local) - local);
        std::ofstream(config) << text;
        fs::permissions(config, fs::perms::owner_read | fs::perms::owner_write);
    }
    auto run = [&](Tool::Arguments arguments) {
        arguments.insert(arguments.end(), {"--config", config.string()});
        return lab_->tool.run(arguments);
    };
    auto hba = lab_->folder() / "elsewhere_hba.conf";
    fs::copy_file(member.data_dir() / "pg_hba.conf", hba);
    app::give_to_lab_user(hba);
    member.configure({{"hba_file", hba.string()}});
    member.restart();
    auto check = run({"check"});
    auto backup = run({"backup", "--name", "unread", "--json"});
    auto applied = run({"init", "--apply-sql", "m1=" + member.url()});
    // The other tests' cluster is as it was.
    member.configure({{"hba_file", (member.data_dir() / "pg_hba.conf").string()}});
    member.restart();
    EXPECT_EQ(check.code(), 0) << check.text();
    EXPECT_NE(check.out.find("configuration_files"), std::string::npos) << check.text();
    EXPECT_NE(check.out.find("GRANT pg_read_server_files TO \"tidemark\";"), std::string::npos)
        << check.text();
    EXPECT_EQ(backup.code(), 3) << backup.text();
    EXPECT_NE(backup.err.find("the backup does not hold "), std::string::npos) << backup.text();
    EXPECT_NE(backup.err.find(hba.string()), std::string::npos) << backup.text();
    EXPECT_EQ(applied.code(), 0) << applied.text();
    EXPECT_NE(applied.out.find("GRANT pg_read_server_files TO \"tidemark\";"), std::string::npos)
        << applied.text();

    auto planned = run({"restore", "--as-production", "--plan", "--dir", dir().string()});
    EXPECT_EQ(planned.code(), 4) << planned.text();
    EXPECT_NE(planned.err.find(hba.string()), std::string::npos) << planned.text();
    auto refused = lab_->restore({"--as-production"}, "r");
    EXPECT_EQ(refused.code(), 4) << refused.text();
    EXPECT_TRUE(refused.explained()) << refused.text();
    EXPECT_FALSE(fs::exists(dir())) << "something was written";
    auto quarantine = run({"restore", "--plan", "--dir", dir().string()});
    EXPECT_EQ(quarantine.code(), 3) << quarantine.text();
    EXPECT_NE(quarantine.text().find(hba.string()), std::string::npos) << quarantine.text();
    // A newest backup that lacks nothing, for the other tests.
    must(lab_->backup("whole"));
}

/// In a database that is not UTF-8 a gid need not be, either.
TEST_F(HandOverTest, AGidOfAnyBytesIsSettledAndCanBeDecidedLater)
{
    auto kept = lab_->restore({"--to", "last", "--in-doubt", "keep"}, "r");
    ASSERT_EQ(kept.code(), 3) << kept.text();
    EXPECT_EQ(prepared_in_latin(), 1U);
    std::ifstream report(report_file(kept.json().at("report").at("mark").at("id"), "txt"));
    std::string text{std::istreambuf_iterator<char>(report), {}};
    EXPECT_NE(text.find("m1 \"gr\\xfcn #1\""), std::string::npos) << text;
    auto decisions = lab_->folder() / "decisions";
    std::ofstream(decisions) << "m1 \"gr\\xfcn #1\" rollback\n";
    auto settled = lab_->restore({"--to", "last", "--decisions", decisions.string()}, "r");
    ASSERT_EQ(settled.code(), 0) << settled.text();
    EXPECT_EQ(prepared_in_latin(), 0U);
    EXPECT_TRUE(lab_->check(settled, "last").clean());
    const auto document = settled.json();
    const auto& decided = document.at("report").at("members").at(1).at("decisions");
    EXPECT_EQ(decided.at(0).at("action"), "rollback") << settled.text();
}

} // namespace
} // namespace tidemark::support
