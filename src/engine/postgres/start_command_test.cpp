#include "engine/postgres/start_command.h"

#include "base/subprocess.h"

#include <gtest/gtest.h>

namespace tidemark::engine::postgres {
namespace {

TEST(StartCommandTest, AShellReadsEachWordAsItWas)
{
    EXPECT_EQ(shell_word("/srv/restore/a-1_b.c"), "/srv/restore/a-1_b.c");
    for (const std::string word :
         {"", "two words", "it's", "a\"b", "$HOME", "`id`", "a\\", "*", "a\nb", "~", "#x", "a;b"}) {
        auto said = base::run({"/bin/sh", "-c", "printf %s " + shell_word(word)});
        EXPECT_EQ(said.out, word);
    }
}

TEST(StartCommandTest, PlainFoldersAreNamedOddOnesAreEntered)
{
    EXPECT_EQ(start_command("/usr/lib/bin", "/srv/m0/data", ""),
              "/usr/lib/bin/pg_ctl -D /srv/m0/data -l /srv/m0/data/server.log start");
    EXPECT_EQ(start_command("/usr/lib/bin", "/srv/my data", "postgres"),
              "runuser -u postgres -- /usr/lib/bin/pg_ctl -D '/srv/my data' -l "
              "'/srv/my data/server.log' start");
    EXPECT_EQ(start_command("/usr/lib/bin", "/srv/$x", "postgres"),
              "cd '/srv/$x' && runuser -u postgres -- /usr/lib/bin/pg_ctl -D . -l server.log "
              "start");
}

} // namespace
} // namespace tidemark::engine::postgres
