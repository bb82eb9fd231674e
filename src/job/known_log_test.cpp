#include "job/known_log.h"

#include <gtest/gtest.h>

namespace tidemark::job {
namespace {

using base::Bytes;

// rule 13, 29
TEST(KnownLogTest, ItIsWhatIsStoredOrWhatARestoreMadeOfIt)
{
    int asked = 0;
    KnownLog known(100, Bytes(50, std::byte{1}), [&](const Bytes& bytes) {
        ++asked;
        auto out = bytes;
        out[20] = std::byte{2};
        return out;
    });
    EXPECT_TRUE(known.holds(100, Bytes(30, std::byte{1})));
    EXPECT_TRUE(known.holds(140, Bytes(10, std::byte{1})));
    EXPECT_EQ(asked, 0);
    Bytes replayed(30, std::byte{1});
    replayed[10] = std::byte{2};
    EXPECT_TRUE(known.holds(110, replayed));
    EXPECT_TRUE(known.holds(110, replayed));
    EXPECT_EQ(asked, 1);
    replayed[11] = std::byte{2};
    EXPECT_FALSE(known.holds(110, replayed));
    // Behind it nothing is known.
    EXPECT_TRUE(known.holds(150, replayed));
    EXPECT_TRUE(known.holds(149, Bytes{std::byte{1}, std::byte{7}}));
    EXPECT_FALSE(known.holds(149, Bytes{std::byte{7}, std::byte{7}}));
}

} // namespace
} // namespace tidemark::job
