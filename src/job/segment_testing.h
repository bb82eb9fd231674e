#pragma once

#include "engine/fake/fake_server.h"

#include <gtest/gtest.h>
#include <string>

namespace tidemark::job {

/// Noise, and one record that ends exactly where the segment does.
inline void fill_segment(engine::fake::FakeServer& server)
{
    constexpr std::size_t kRoom = 36; // of a record without text
    auto left = [&] {
        return engine::fake::kSegmentSize -
               server.insert_position().offset % engine::fake::kSegmentSize;
    };
    while (left() > 2000 || left() < 100)
        server.noise(1);
    server.commit(std::string(left() - kRoom, 'x'));
    ASSERT_EQ(left(), engine::fake::kSegmentSize);
}

} // namespace tidemark::job
