#include "app/cli/sheet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidemark::app {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

SheetFacts sample()
{
    SheetFacts facts{.group = "shop",
                     .repository = "/mnt/back ups/tm",
                     .repository_id = "00ff",
                     .program = "tidemark 0.1.0",
                     .host = "db9",
                     .written = *base::parse_time("2026-11-22T12:00:00Z")};
    facts.members = {{.name = "orders",
                      .version = "15.18",
                      .version_num = 150018,
                      .superuser = "postgres",
                      .bytes = 3ULL << 30,
                      .log_room = 512ULL << 20,
                      .libraries = "pg_cron",
                      .databases = {"postgres", "shop"}},
                     {.name = "audit",
                      .version = "16.4",
                      .version_num = 160004,
                      .superuser = "root user",
                      .bytes = 1ULL << 30}};
    facts.mark = "m-12";
    facts.mark_time = facts.written;
    return facts;
}

TEST(SheetTest, NamesEverythingThatIsNeeded)
{
    auto text = render_sheet(sample(), SheetFormat::markdown);
    for (const char* expected :
         {"# Recovery sheet: group shop", "/mnt/back ups/tm (id 00ff)", "last proven: never",
          "postgresql-15", "postgresql-16", "4.0 GiB free in /restore", "pg_cron",
          "what the log adds to that: up to 512 MiB when this was written",
          "no key: this repository is not encrypted"})
        EXPECT_THAT(text, HasSubstr(expected));
}

TEST(SheetTest, OnlyTheMomentDoesNotMakeItAnotherOne)
{
    for (auto format : {SheetFormat::markdown, SheetFormat::text}) {
        auto before = render_sheet(sample(), format);
        auto facts = sample();
        facts.written += 24h;
        facts.host = "db8";
        facts.mark = "m-13";
        facts.members[0].log_room = 5ULL << 30;
        facts.mark_time += 24h;
        auto later = render_sheet(facts, format);
        EXPECT_NE(later, before);
        EXPECT_TRUE(tells_the_same(before, later));
        facts.members[1].place = "postgresql://db7/postgres";
        EXPECT_FALSE(tells_the_same(before, render_sheet(facts, format)));
        EXPECT_FALSE(tells_the_same(before, ""));
        facts = sample();
        facts.mark.reset();
        EXPECT_FALSE(tells_the_same(before, render_sheet(facts, format)));
    }
}

TEST(SheetTest, TheProgramsLibrariesAreInstalledToo)
{
    auto facts = sample();
    facts.libraries = {.names = {"libfmt.so.9"}, .packages = {"libdate-tz3", "libfmt9"}};
    auto text = render_sheet(facts, SheetFormat::markdown);
    EXPECT_THAT(text, HasSubstr("packages libdate-tz3, libfmt9)"));
    EXPECT_THAT(text, HasSubstr("\napt-get install --yes libdate-tz3 libfmt9\n"));
    facts.libraries.packages.clear();
    EXPECT_THAT(render_sheet(facts, SheetFormat::markdown), HasSubstr("linked with: libfmt.so.9."));
}

/// Else every group fails that is not on the distribution's own version.
TEST(SheetTest, VersionsThatTheDistributionLacksComeFromPostgresItself)
{
    auto text = render_sheet(sample(), SheetFormat::markdown);
    EXPECT_THAT(text, HasSubstr("If the distribution does not have version 15 or 16, "));
    const std::string archive =
        "\nif ! apt-cache show postgresql-16 >/dev/null 2>&1; then apt-get install --yes "
        "postgresql-common ca-certificates && "
        "/usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y; fi\n";
    EXPECT_THAT(text,
                HasSubstr(archive + "apt-get install --yes postgresql-16 postgresql-client-16\n"));
    EXPECT_LT(text.find("\napt-get update\n"), text.find(archive)) << "it asks what is known";
    auto facts = sample();
    for (auto& member : facts.members)
        member.version_num = 0; // no backup yet
    EXPECT_THAT(render_sheet(facts, SheetFormat::markdown), Not(HasSubstr("pgdg")));
}

TEST(SheetTest, CommandsAreCompleteAndQuoted)
{
    auto text = render_sheet(sample(), SheetFormat::markdown);
    EXPECT_THAT(text, HasSubstr("\ntidemark --repo '/mnt/back ups/tm' restore shop --to latest "
                                "--dir /restore --user postgres --start\n"));
    EXPECT_THAT(text, HasSubstr("-h /restore/audit/data -p 5432 -U 'root user' -d postgres"));
    EXPECT_THAT(text,
                HasSubstr("\nkill -INT \"$(head -n 1 /restore/audit/data/postmaster.pid)\"\n"));
    auto plain = render_sheet(sample(), SheetFormat::text);
    EXPECT_THAT(plain, HasSubstr("    $ tidemark --repo '/mnt/back ups/tm' verify shop\n"));
    EXPECT_THAT(plain, Not(HasSubstr("```")));
}

TEST(SheetTest, MembersOnHostsOfTheirOwnHaveCommandsOfTheirOwn)
{
    auto facts = sample();
    EXPECT_THAT(render_sheet(facts, SheetFormat::markdown), Not(HasSubstr("--only")));
    facts.members[0].host = facts.members[1].host = "db1";
    EXPECT_THAT(render_sheet(facts, SheetFormat::markdown), Not(HasSubstr("--only")));
    facts.members[1].host = "db2, db3";
    auto text = render_sheet(facts, SheetFormat::markdown);
    for (const char* expected :
         {"instead of db1:", "instead of db2, db3:",
          "`tidemark --repo '/mnt/back ups/tm' mark shop --at 'TIME' --name before-it`",
          "restore shop --only audit --to latest --dir /restore --user postgres\n",
          "restore shop --open --dir /restore --user postgres --start\n"})
        EXPECT_THAT(text, HasSubstr(expected));
    EXPECT_LT(text.find("--at 'TIME'"), text.find("--only")) << "first";
}

TEST(SheetTest, SaysWhenItWasProvenAndWhenThereIsNothing)
{
    auto facts = sample();
    facts.proof = model::Proof{.mark = 11,
                               .drill = 3,
                               .at = facts.written,
                               .restore_took = 11min,
                               .by = {"recovery", "amcheck"}};
    EXPECT_THAT(render_sheet(facts, SheetFormat::text),
                HasSubstr("last proven: mark m-11, 2026-11-22 12:00:00 UTC, by a drill (recovery, "
                          "amcheck); all members were open after 11 min"));
    facts.mark.reset();
    EXPECT_THAT(render_sheet(facts, SheetFormat::text), HasSubstr("NO RESTORABLE MARK"));
}

} // namespace
} // namespace tidemark::app
