#include "app/cli/hooks.h"

#include "base/fd.h"
#include "base/temp_dir.h"

#include <gtest/gtest.h>

namespace tidemark::app {
namespace {

TEST(HooksTest, AHookGetsWhatIsDocumentedAndNoSecret)
{
    base::TempDir dir;
    auto file = (dir.path() / "environment").string();
    ::setenv("PGPASSWORD", "hunter2secret", 1);
    auto why = run_hook({"/bin/sh", "-c", "env > \"$0\"", file}, {{"TIDEMARK_EXIT", "20"}});
    ::unsetenv("PGPASSWORD");
    EXPECT_EQ(why, "");
    std::string says(base::as_text(base::read_file(file, 1U << 20)));
    EXPECT_NE(says.find("TIDEMARK_EXIT=20\n"), says.npos) << says;
    EXPECT_NE(says.find("PATH="), says.npos) << says;
    EXPECT_EQ(says.find("hunter2secret"), says.npos) << says;
}

TEST(HooksTest, AFailureIsOneLine)
{
    EXPECT_NE(run_hook({"/bin/sh", "-c", "exit 3"}, {}).find("exit code 3"), std::string::npos);
    EXPECT_EQ(run_hook({}, {}), "");
}

TEST(HooksTest, OneThatCannotBeRunIsFoundBeforeItIsNeeded)
{
    base::TempDir dir;
    EXPECT_EQ(find_hook("/bin/sh"), "/bin/sh");
    EXPECT_NE(find_hook("sh").find("/sh"), std::string::npos);
    auto why = [](const std::string& program) {
        try {
            return find_hook(program);
        } catch (const base::Error& error) {
            return std::string(error.what());
        }
    };
    auto file = dir.path() / "tell";
    EXPECT_NE(why(file.string()).find("No such file"), std::string::npos);
    base::replace_file(file, base::as_bytes("#!/bin/sh\n"), 0600);
    EXPECT_NE(why(file.string()).find("Permission denied"), std::string::npos);
    EXPECT_NE(why(dir.path().string()).find("is no program"), std::string::npos);
    EXPECT_NE(why("no-such-program-of-tidemark").find("in PATH"), std::string::npos);
}

} // namespace
} // namespace tidemark::app
