#pragma once

#include "base/fd.h"

#include <cstdint>
#include <string>
#include <thread>

namespace tidemark::test {

/// Speaks just enough of the protocol to play a server that never answers, or a pooler that makes
/// up its process id.
class FakePostgres {
public:
    enum class Play { silence, pooler };
    explicit FakePostgres(Play play);
    ~FakePostgres();
    std::string url() const;

private:
    void serve(std::stop_token stop) const;

    Play play_;
    base::Fd listener_;
    std::uint16_t port_ = 0;
    std::jthread thread_;
};

} // namespace tidemark::test
