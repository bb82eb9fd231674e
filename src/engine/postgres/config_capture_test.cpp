#include "engine/postgres/config_capture.h"

#include "base/temp_dir.h"

#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <set>

namespace tidemark::engine::postgres {
namespace {

using ::testing::ElementsAre;

/// A host made of a map.
struct Host {
    std::map<std::string, std::string> files;
    std::set<std::string> locked = {}; ///< files and folders that we may not read

    ConfigReader reader() const
    {
        return {[this](const std::string& path) -> ConfigText {
                    if (locked.contains(path)) return {};
                    auto at = files.find(path);
                    if (at == files.end()) return {.text = {}, .absent = true};
                    return {.text = at->second};
                },
                [this](const std::string& folder) -> std::optional<std::vector<std::string>> {
                    if (locked.contains(folder)) return std::nullopt;
                    std::vector<std::string> names;
                    for (const auto& [path, text] : files) {
                        if (path.starts_with(folder + "/"))
                            names.push_back(path.substr(folder.size() + 1));
                    }
                    return names;
                }};
    }
};

ConfigPlaces debian()
{
    return {.data_directory = "/var/lib/postgresql/15/main",
            .config_file = "/etc/postgresql/15/main/postgresql.conf",
            .hba_file = "/etc/postgresql/15/main/pg_hba.conf",
            .ident_file = "/var/lib/postgresql/15/main/pg_ident.conf",
            .tls_files = {"/etc/ssl/private/server.key", "server.crt"}};
}

TEST(ConfigCaptureTest, FollowsIncludesOutsideTheDataDirectory)
{
    Host host{{{"/etc/postgresql/15/main/postgresql.conf",
                "include_dir 'conf.d'\ninclude '/srv/more.conf'\ninclude_if_exists 'none.conf'\n"
                "include '/var/lib/postgresql/15/main/inside.conf'\n"},
               {"/etc/postgresql/15/main/conf.d/b.conf", "x = 1"},
               {"/etc/postgresql/15/main/conf.d/a.conf", "y = 1"},
               {"/etc/postgresql/15/main/conf.d/readme", "no"},
               {"/srv/more.conf", "include 'postgresql.conf'"},
               {"/etc/postgresql/15/main/pg_hba.conf", "local all all peer"},
               {"/var/lib/postgresql/15/main/inside.conf", "include '/srv/deep.conf'"},
               {"/srv/deep.conf", "z = 1"},
               {"/var/lib/postgresql/15/main/pg_ident.conf", ""}},
              {"/srv/postgresql.conf"}};
    auto files = capture_configuration(debian(), host.reader());
    std::vector<std::string> seen;
    for (const auto& file : files) {
        seen.push_back(file.role + " " + file.path + (file.content ? "" : " (name only)"));
    }
    EXPECT_THAT(seen,
                ElementsAre("config /etc/postgresql/15/main/postgresql.conf",
                            "include /etc/postgresql/15/main/conf.d/a.conf",
                            "include /etc/postgresql/15/main/conf.d/b.conf",
                            "include /srv/more.conf", "include /srv/postgresql.conf (name only)",
                            "include /srv/deep.conf", "hba /etc/postgresql/15/main/pg_hba.conf",
                            "tls /etc/ssl/private/server.key (name only)"));
}

TEST(ConfigCaptureTest, FollowsWhatAccessRulesName)
{
    Host host{{{"/etc/pg_hba.conf", "local @dbs \"@word\" peer\ninclude \"more rules\"\n"},
               {"/etc/dbs", "one, @sub/two"},
               {"/etc/sub/two", "three"},
               {"/etc/more rules", "local all @users peer"},
               {"/etc/users", "ann"},
               {"/etc/postgresql.conf", "search_path = @dbs"}}};
    ConfigPlaces places;
    places.data_directory = "/data";
    places.config_file = "/etc/postgresql.conf";
    places.hba_file = "/etc/pg_hba.conf";
    std::vector<std::string> seen;
    for (const auto& file : capture_configuration(places, host.reader()))
        seen.push_back(file.role + " " + file.path);
    EXPECT_THAT(seen, ElementsAre("config /etc/postgresql.conf", "hba /etc/pg_hba.conf",
                                  "include /etc/dbs", "include /etc/sub/two",
                                  "include /etc/more rules", "include /etc/users"));
}

TEST(ConfigCaptureTest, WhatMayNotBeReadIsListedWithoutItsText)
{
    Host host{{{"/etc/postgresql/15/main/postgresql.conf", "include_dir 'conf.d'\n"},
               {"/etc/postgresql/15/main/conf.d/a.conf", "y = 1"}},
              {"/etc/postgresql/15/main/conf.d", "/etc/postgresql/15/main/pg_hba.conf"}};
    auto files = capture_configuration(debian(), host.reader());
    EXPECT_THAT(
        model::missing_configuration(files),
        ElementsAre("/etc/postgresql/15/main/conf.d", "/etc/postgresql/15/main/pg_hba.conf"));
    EXPECT_THAT(model::missing_essentials(files),
                ElementsAre("/etc/postgresql/15/main/pg_hba.conf"));
}

TEST(ConfigCaptureTest, AnyBytesComeBack)
{
    const std::string text = "# f\xFCr alle\ninclude 'more.conf'\n";
    Host host{{{"/etc/postgresql/15/main/postgresql.conf", text},
               {"/etc/postgresql/15/main/more.conf", "y = 1"}}};
    auto files = capture_configuration(debian(), host.reader());
    ASSERT_GE(files.size(), 2U);
    EXPECT_EQ(files[0].content, text);
    EXPECT_EQ(files[1].path, "/etc/postgresql/15/main/more.conf");
}

TEST(ConfigCaptureTest, AFileOfThisHostIsReadAsItIsAndAMissingOneIsNotMissed)
{
    base::TempDir dir;
    std::ofstream(dir.path() / "a.conf") << "# f\xFCr alle\n";
    auto reader = local_reader({[](const std::string&) { return ConfigText{}; },
                                [](const std::string&) { return std::nullopt; }});
    EXPECT_EQ(reader.read((dir.path() / "a.conf").string()).text, "# f\xFCr alle\n");
    EXPECT_TRUE(reader.read((dir.path() / "b.conf").string()).absent);
    auto elsewhere = reader.read((dir.path() / "etc/b.conf").string());
    EXPECT_FALSE(elsewhere.absent || elsewhere.text);
}

TEST(ConfigCaptureTest, CirclesEnd)
{
    Host host{{{"/etc/a.conf", "include 'b.conf'"}, {"/etc/b.conf", "include 'a.conf'"}}};
    ConfigPlaces places;
    places.data_directory = "/data";
    places.config_file = "/etc/a.conf";
    EXPECT_EQ(capture_configuration(places, host.reader()).size(), 2U);
}

} // namespace
} // namespace tidemark::engine::postgres
