#include "base/error.h"
#include "repo/piece.h"
#include "reseal.h"
#include "stream/checksum.h"

using namespace tidemark;

namespace {

constexpr std::size_t kLimit = 8U << 20;

void reseal(base::Bytes& bytes)
{
    if (bytes.size() < repo::kPieceHeaderSize) return;
    fuzz::put_crc(bytes, 0, repo::kPieceHeaderSize - 4);
    std::uint32_t frames = base::load_u32(bytes.data() + 64);
    std::size_t tail = repo::piece_trailer_size(frames % 4096);
    if (bytes.size() < repo::kPieceHeaderSize + tail) return;
    std::size_t trailer = bytes.size() - tail;
    std::size_t at = repo::kPieceHeaderSize;
    for (std::uint32_t i = 0; i < frames && at + repo::kFrameHeaderSize <= trailer; ++i) {
        std::uint32_t stored = base::load_u32(bytes.data() + at + 20);
        std::size_t body = at + repo::kFrameHeaderSize;
        if (stored > trailer - body) break;
        fuzz::put(bytes, at + 36, stream::sha16(base::ByteView(bytes).subspan(body, stored)));
        fuzz::put_crc(bytes, at, at + 52);
        at = body + stored;
    }
    fuzz::put(bytes, bytes.size() - 40,
              stream::sha256(base::ByteView(bytes).first(bytes.size() - 40)));
    fuzz::put_crc(bytes, trailer, bytes.size() - 4);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    fuzz::Input input(data, size);
    if (input.reseal) reseal(input.bytes);
    try {
        repo::parse_piece(input.bytes, kLimit);
    } catch (const base::Error&) {
    }
    return 0;
}
