// Where a restore writes: tablespaces below the member or where they are mapped, folders of any
// name, and never into what others left. From a repository whose objects are not compressed.

#include "base/fd.h"
#include "base/mount_testing.h"
#include "cli/shared_group.h"
#include "engine/postgres/pq.h"

#include <algorithm>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace tidemark::support {
namespace {

namespace fs = std::filesystem;
using engine::postgres::Connection;

std::string text_of(const fs::path& file)
{
    return std::string(base::as_text(base::read_file(file, 1U << 30)));
}

/// Every file below `folder`, with what it holds.
std::map<std::string, std::string> contents(const fs::path& folder)
{
    std::map<std::string, std::string> all;
    for (const auto& entry : fs::recursive_directory_iterator(folder))
        all.emplace(entry.path().lexically_relative(folder).string(),
                    entry.is_regular_file() ? text_of(entry.path()) : "");
    return all;
}

/// m0 has a tablespace with a table of a thousand rows, and another that was made after the base
/// backup; the repository says compression = "none".
class PlacesTest : public SharedGroupTest {
protected:
    static void SetUpTestSuite()
    {
        share_group([] {
            auto sql = Connection::open(lab_->lab.cluster(0).url());
            original_ = make_tablespace(sql, "side");
            sql.exec("CREATE TABLE public.kept_aside (v int, line text) TABLESPACE side");
            sql.exec("INSERT INTO public.kept_aside SELECT i, repeat('plainly stored ', 20) "
                     "FROM generate_series(1, 1000) i");
            oid_ =
                sql.exec("SELECT oid FROM pg_tablespace WHERE spcname = 'side'").text(0, 0).value();
            must(lab_->init());
            store_plainly();
            must(lab_->backup("base"));
            sql.exec("INSERT INTO public.kept_aside VALUES (1001, 'after the base backup')");
            make_tablespace(sql, "gone");
            sql.exec("DROP TABLESPACE gone");
            original_later_ = make_tablespace(sql, "later");
            sql.exec("CREATE TABLE public.made_later (v int) TABLESPACE later");
            sql.exec("INSERT INTO public.made_later SELECT generate_series(1, 1000)");
            must(lab_->mark("last"));
            sql.exec("UPDATE public.made_later SET v = -v"); // what replay would undo
            // What the original holds can be compared only when nobody writes to it.
            for (std::size_t i = 0; i < lab_->lab.size(); ++i)
                lab_->lab.cluster(i).stop();
            before_ = contents(original_);
            before_later_ = contents(original_later_);
        });
    }

    static fs::path make_tablespace(Connection& sql, const std::string& name)
    {
        auto place = lab_->folder() / name;
        fs::create_directory(place);
        app::give_to_lab_user(place);
        sql.exec(fmt::format("CREATE TABLESPACE {} LOCATION {}", name,
                             Connection::literal(place.native())));
        return place;
    }

    static void store_plainly()
    {
        auto text = text_of(lab_->config);
        const std::string section = "[repository.main]\n";
        auto at = text.find(section);
        ASSERT_NE(at, std::string::npos) << text;
        text.insert(at + section.size(), "compression = \"none\"\n");
        std::ofstream(lab_->config, std::ios::trunc) << text;
    }

    /// The table is whole, lies where the link points, and can be written to; the original is as it
    /// was.
    static void expect_restored(const ToolRun& run, const std::string& dir, const fs::path& place)
    {
        ASSERT_EQ(run.code(), 0) << run.text();
        auto link = lab_->target(dir) / "m0/data/pg_tblspc" / oid_;
        ASSERT_TRUE(fs::is_symlink(link)) << link;
        EXPECT_EQ(fs::read_symlink(link), place);
        auto sql = Connection::open(lab_->restored_bank(run).members.at(0).url);
        EXPECT_EQ(sql.exec("SELECT count(*), sum(v) FROM public.kept_aside").text(0, 1), "501501");
        EXPECT_EQ(sql.exec("SELECT pg_tablespace_location(oid) FROM pg_tablespace "
                           "WHERE spcname = 'side'")
                      .text(0, 0),
                  place.string());
        auto file = sql.exec("SELECT pg_relation_filepath('public.kept_aside')").text(0, 0).value();
        EXPECT_TRUE(file.starts_with("pg_tblspc/" + oid_ + "/")) << file;
        auto in_place = file.substr(("pg_tblspc/" + oid_ + "/").size());
        EXPECT_TRUE(fs::exists(place / in_place)) << place / in_place;
        sql.exec("INSERT INTO public.kept_aside SELECT 0, 'new' FROM generate_series(1, 1000)");
        sql.exec("CHECKPOINT");
        EXPECT_TRUE(contents(original_) == before_) << "the restored server writes to production";
        expect_later(sql, dir);
        stop_restored(lab_->target(dir));
    }

    /// Made by the log, it lies below the member all the same.
    static void expect_later(Connection& sql, const std::string& dir)
    {
        auto row = sql.exec("SELECT oid, pg_tablespace_location(oid) FROM pg_tablespace "
                            "WHERE spcname = 'later'");
        ASSERT_EQ(row.rows(), 1);
        auto member = fs::canonical(lab_->target(dir) / "m0");
        EXPECT_EQ(row.text(0, 1), (member / "tablespaces" / row.text(0, 0).value()).string());
        EXPECT_TRUE(fs::is_symlink(member / "data/pg_tblspc" / row.text(0, 0).value()));
        EXPECT_EQ(sql.exec("SELECT sum(v) FROM public.made_later").text(0, 0), "500500");
        EXPECT_EQ(std::distance(fs::directory_iterator(member / "data/pg_tblspc"), {}), 2);
        sql.exec("INSERT INTO public.made_later VALUES (1)");
        sql.exec("CHECKPOINT");
        EXPECT_TRUE(contents(original_later_) == before_later_)
            << "the restored server writes to production";
    }

    static fs::path original_;
    static fs::path original_later_;
    static std::string oid_;
    static std::map<std::string, std::string> before_;
    static std::map<std::string, std::string> before_later_;
};

fs::path PlacesTest::original_;
fs::path PlacesTest::original_later_;
std::string PlacesTest::oid_;
std::map<std::string, std::string> PlacesTest::before_;
std::map<std::string, std::string> PlacesTest::before_later_;

// rule 29
TEST_F(PlacesTest, TablespacesGoBelowTheMemberUnlessTheyAreMapped)
{
    auto run = lab_->restore({"--to", "last"}, "unmapped");
    expect_restored(run, "unmapped", lab_->target("unmapped") / "m0/tablespaces" / oid_);
}

// rule 29
TEST_F(PlacesTest, TablespacesGoWhereTheyAreMapped)
{
    auto place = lab_->folder() / "mapped";
    auto map = fmt::format("m0:{}={}", oid_, place.string());
    auto plan = lab_->run({"restore", "--to", "last", "--plan", "--tablespace", map, "--dir",
                           lab_->target("moved").string()});
    EXPECT_EQ(plan.code(), 0) << plan.text();
    EXPECT_NE(plan.out.find(place.string()), std::string::npos) << plan.text();
    auto run = lab_->restore({"--to", "last", "--tablespace", map}, "moved");
    expect_restored(run, "moved", place);
    EXPECT_FALSE(fs::exists(lab_->target("moved") / "m0/tablespaces" / oid_));
    // What is removed is what the restore put there.
    std::ofstream(lab_->folder() / "mapped/mine") << "x";
    auto discarded =
        lab_->run({"restore", "--discard", "--force", "--dir", lab_->target("moved").string()});
    EXPECT_EQ(discarded.code(), 0) << discarded.text();
    EXPECT_EQ(contents(place), (std::map<std::string, std::string>{{"mine", "x"}}));
    EXPECT_TRUE(contents(original_) == before_);
}

// rule 29
TEST_F(PlacesTest, WhereNoProgramRunsTheInstalledOneFetchesLog)
{
    if (::geteuid() != 0) GTEST_SKIP() << "only root runs servers as somebody else";
    SmallDisk disk(lab_->folder() / "noexec-disk", "size=600m");
    ASSERT_TRUE(disk.mounted() || !base::mounting_is_expected()) << base::kNoMount;
    if (!disk.mounted()) GTEST_SKIP() << base::kNoMount;
    disk.no_programs();
    Tool::Arguments arguments{"--to", "last", "--map", "m1=" + (disk.path() / "m1").string()};
    auto planning = arguments;
    planning.emplace_back("--plan");
    const auto plan = lab_->restore(planning, "noexec");
    const auto run = lab_->restore(arguments, "noexec");
    EXPECT_EQ(plan.code(), run.code()) << plan.text();
    if (run.code() == 21) { // the servers' user cannot get at this build
        EXPECT_NE(run.err.find("noexec"), std::string::npos) << run.text();
        EXPECT_TRUE(run.explained()) << run.text();
        EXPECT_FALSE(fs::exists(lab_->target("noexec") / "m0/data")) << "nothing is begun";
    } else {
        EXPECT_EQ(run.code(), 0) << run.text();
        EXPECT_FALSE(fs::exists(disk.path() / "m1/tidemark/fetch-log"));
        EXPECT_TRUE(fs::exists(lab_->target("noexec") / "m0/tidemark/fetch-log"));
    }
    stop_restored(disk.path());
    stop_restored(lab_->target("noexec"));
}

/// Names that PostgreSQL and libpq read in their own ways.
TEST_F(PlacesTest, AnyNameOfAFolderWillDo)
{
    const std::string odd = "r/back\\slash, and spaces";
    auto run = lab_->restore({"--to", "last"}, odd);
    expect_restored(run, odd, lab_->target(odd) / "m0/tablespaces" / oid_);
}

/// Whoever names a wrong folder loses nothing, whatever he adds.
TEST_F(PlacesTest, WhatNoRestoreWroteIsNeverRemoved)
{
    auto dir = lab_->target("taken");
    fs::create_directories(dir / "m1/data");
    std::ofstream(dir / "m1/data/precious") << "data";
    for (const auto& how : std::vector<Tool::Arguments>{{}, {"--force"}, {"--plan", "--force"}}) {
        auto refused = lab_->restore(how, "taken");
        EXPECT_EQ(refused.code(), 30) << refused.text();
        EXPECT_TRUE(refused.explained()) << refused.text();
    }
    for (const auto& how : std::vector<Tool::Arguments>{{"--discard"}, {"--discard", "--force"}}) {
        auto refused = lab_->restore(how, "taken");
        EXPECT_EQ(refused.code(), 30) << refused.text();
        EXPECT_TRUE(refused.explained()) << refused.text();
    }
    EXPECT_TRUE(fs::exists(dir / "m1/data/precious"));
    EXPECT_FALSE(fs::exists(dir / "m0"));
}

/// A compressed frame would hold the words once.
TEST_F(PlacesTest, WithoutCompressionBytesAreStoredAsTheyAre)
{
    std::size_t with_words = 0;
    auto packs = lab_->repository / "groups/shop/members/m0/packs";
    for (const auto& entry : fs::recursive_directory_iterator(packs)) {
        if (!entry.is_regular_file()) continue;
        auto text = text_of(entry.path());
        if (text.find("plainly stored plainly stored plainly stored ") != std::string::npos)
            ++with_words;
    }
    EXPECT_GT(with_words, 0U);
    auto verify = lab_->run({"verify"});
    EXPECT_EQ(verify.code(), 0) << verify.text();
}

} // namespace
} // namespace tidemark::support
