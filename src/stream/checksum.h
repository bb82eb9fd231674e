#pragma once

#include "base/bytes.h"

#include <array>
#include <cstdint>
#include <memory>

struct evp_md_ctx_st; // OpenSSL's EVP_MD_CTX

namespace tidemark::stream {

/// XXH3, 64 bits, seed 0. Finds accidents, not attacks; for plain bytes (~19 GB/s a core).
std::uint64_t xxh3_64(base::ByteView bytes);

using Sha256Digest = std::array<std::byte, 32>;
/// The first 16 bytes of a SHA-256.
using Sha16 = std::array<std::byte, 16>;

/// Incremental SHA-256. Movable, not shared between threads.
class Sha256 {
public:
    Sha256();
    void update(base::ByteView bytes);
    /// Of everything so far; more may follow.
    Sha256Digest digest() const;

private:
    struct Free {
        void operator()(evp_md_ctx_st* context) const;
    };
    std::unique_ptr<evp_md_ctx_st, Free> context_;
};

Sha256Digest sha256(base::ByteView bytes);
Sha16 sha16(base::ByteView bytes);
Sha16 truncated(const Sha256Digest& digest);

} // namespace tidemark::stream
