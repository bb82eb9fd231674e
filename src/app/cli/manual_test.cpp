#include "app/cli/option_words.h"
#include "app/cli/options.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <regex>
#include <sstream>
#include <vector>

namespace tidemark::app {
namespace {

std::string guide(const std::string& page)
{
    std::ifstream file(std::string(TIDEMARK_SOURCE_DIR) + "/docs/guide/" + page);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

/// README.md and every page below docs/.
std::string all_pages()
{
    namespace fs = std::filesystem;
    const fs::path source = TIDEMARK_SOURCE_DIR;
    std::vector<fs::path> pages{source / "README.md"};
    for (const auto& entry : fs::recursive_directory_iterator(source / "docs")) {
        if (entry.path().extension() == ".md") pages.push_back(entry.path());
    }
    std::ostringstream text;
    for (const auto& page : pages)
        text << std::ifstream(page).rdbuf();
    return text.str();
}

/// Not as the beginning of a longer one: --plan is not in --planned.
bool names_option(const std::string& text, const std::string& name)
{
    const auto option = "--" + name;
    for (auto at = text.find(option); at != text.npos; at = text.find(option, at + 1)) {
        const auto end = at + option.size();
        const auto next = end < text.size() ? static_cast<unsigned char>(text[end]) : 0;
        if (std::isalnum(next) == 0 && next != '-') return true;
    }
    return false;
}

TEST(Manual, ThePagesNameEveryOptionOfEveryCommand)
{
    const auto pages = all_pages();
    std::size_t seen = 0;
    with_command_tree([&](const CLI::App& program) {
        auto commands = commands_of(program);
        commands.push_back(words_of(program)); // what holds for all
        for (const auto& command : commands) {
            for (const auto& option : command.options) {
                if (option.long_name.empty() || option.long_name == "help") continue;
                ++seen;
                EXPECT_TRUE(names_option(pages, option.long_name))
                    << command.name << " --" << option.long_name;
            }
        }
    });
    EXPECT_GT(seen, 50U);
}

TEST(Manual, NamesEveryExitCodeOfTheGuideAndNoOther)
{
    const std::string manual = manual_page();
    const std::string page = guide("exit-codes.md");
    const std::regex row(R"(\| (\d+) \| ([a-z_]+) \|)");
    std::size_t rows = 0;
    for (std::sregex_iterator at(page.begin(), page.end(), row), end; at != end; ++at, ++rows) {
        auto entry = "\n.B " + (*at)[1].str() + " (" + (*at)[2].str() + ")\n";
        EXPECT_NE(manual.find(entry), std::string::npos) << entry;
    }
    EXPECT_GT(rows, 10U);
    const std::regex entry(R"(\n\.B \d+ \([a-z_]+\)\n)");
    auto named = std::distance(std::sregex_iterator(manual.begin(), manual.end(), entry), {});
    EXPECT_EQ(static_cast<std::size_t>(named), rows);
}

TEST(Manual, ShowsEveryCommandWithItsOptionsAndHidesTheHidden)
{
    const std::string manual = manual_page();
    for (const char* part :
         {"\n.SS tidemark restore\n", "\n.SS tidemark check\n",
          "\n.B \\-\\-decisions \\fIFILE\\fR\n", "\n.B \\-q, \\-\\-quiet\n",
          "\n.B \\-\\-jobs \\fIN\\fR\n",
          "\n.B \\-\\-in\\-doubt \\fIsettle|keep\\fR\nsettle by evidence, or keep",
          "\\fImarks|backups|"})
        EXPECT_NE(manual.find(part), std::string::npos) << part;
    EXPECT_EQ(manual.find("fetch"), std::string::npos);
    EXPECT_EQ(manual.find("tidemark manual\n.PP"), std::string::npos);
}

TEST(Manual, HoldsNoLineThatRoffWouldTakeForAnUnknownRequest)
{
    std::istringstream lines(manual_page());
    for (std::string line; std::getline(lines, line);) {
        EXPECT_FALSE(line.starts_with('\'')) << line;
        if (!line.starts_with('.') || line.starts_with(".\\\"")) continue;
        auto request = line.substr(1, std::min(line.find(' '), line.size()) - 1);
        const std::vector<std::string> known = {"TH", "SH", "SS", "TP", "TQ", "PP",
                                                "B",  "I",  "IR", "BR", "nf", "fi"};
        EXPECT_NE(std::find(known.begin(), known.end(), request), known.end()) << line;
    }
}

TEST(Help, ShowsTheProgramNotTheCommandHelp)
{
    const char* argv[] = {"tidemark", "help"};
    ::testing::internal::CaptureStdout();
    EXPECT_EQ(parse_command_line(2, argv).code, 0);
    EXPECT_NE(::testing::internal::GetCapturedStdout().find("restore"), std::string::npos);
}

std::string help_of(const std::vector<const char*>& words)
{
    ::testing::internal::CaptureStdout();
    auto parsed = parse_command_line(static_cast<int>(words.size()), words.data());
    EXPECT_TRUE(parsed.finished);
    EXPECT_EQ(parsed.code, 0);
    return ::testing::internal::GetCapturedStdout();
}

TEST(Help, EachCommandsPageNamesWhatHoldsForAll)
{
    for (const char* command : {"init", "restore", "list", "audit"}) {
        auto page = help_of({"tidemark", command, "--help"});
        EXPECT_NE(page.find("Options of every command: --config FILE, --repo PATH, --json, "
                            "-q,--quiet, -v,--verbose\n"),
                  std::string::npos)
            << page;
        EXPECT_EQ(page, help_of({"tidemark", "help", command}));
    }
    EXPECT_EQ(help_of({"tidemark", "help"}).find("Options of every command"), std::string::npos);
}

TEST(Help, AuditNamesItsWords)
{
    auto page = help_of({"tidemark", "audit", "--help"});
    EXPECT_NE(page.find("tidemark audit [OPTIONS] [G] MARK\n"), std::string::npos) << page;
    EXPECT_EQ(page.find("words"), std::string::npos) << page;
}

TEST(Help, OfACommandThatIsNotThereIsRefused)
{
    const char* argv[] = {"tidemark", "help", "frob"};
    ::testing::internal::CaptureStderr();
    EXPECT_EQ(parse_command_line(3, argv).code, 2);
    EXPECT_NE(::testing::internal::GetCapturedStderr().find("there is no command frob"),
              std::string::npos);
}

TEST(Completion, KnowsCommandsOptionsAndChoicesInEveryShell)
{
    for (const char* shell : {"bash", "zsh", "fish"}) {
        auto script = completion(shell);
        for (const char* word : {"restore", "decisions", "marks backups", "settle keep", "config"})
            EXPECT_NE(script.find(word), std::string::npos) << shell << " lacks " << word;
        EXPECT_EQ(script.find("fetch-log"), std::string::npos) << shell;
    }
}

} // namespace
} // namespace tidemark::app
