#pragma once

#include "cli/group_lab.h"

#include <cstdint>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <string>

namespace tidemark::support {

/// A suite whose cases share one group, for servers and backups are what takes time. One that needs
/// more than a first backup has a SetUpTestSuite of its own, which calls share_group().
class SharedGroupTest : public ::testing::Test {
protected:
    /// The group, with a backup "base".
    static void SetUpTestSuite();
    static void TearDownTestSuite() { lab_.reset(); }
    void SetUp() override;

    /// Makes the lab, and what `prepare` makes of it. Unless that comes to its end without a fatal
    /// failure, no case runs.
    static void share_group(const std::function<void()>& prepare);
    /// For what the cases rest on: throws what was said when a command did not end with 0.
    static ToolRun must(ToolRun run);

    /// How many are committed before the backup and from its end on.
    struct Transfers {
        std::uint64_t before = 0;
        std::uint64_t after = 0;
    };
    /// The backup "base", with transfers under way.
    static void back_up_under_load(const Transfers& transfers);

    static inline std::unique_ptr<GroupLab> lab_;

private:
    static inline bool ready_ = false;
};

} // namespace tidemark::support
