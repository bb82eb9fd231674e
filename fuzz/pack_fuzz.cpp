#include "base/error.h"
#include "repo/bytes_source.h"
#include "repo/pack.h"
#include "reseal.h"
#include "stream/checksum.h"

using namespace tidemark;

namespace {

const repo::PackId kPack{.backup = 1, .lease = 2, .number = 0};

/// Makes header, frames and trailer pass their checks, as far as the frames' lengths allow.
void reseal(base::Bytes& bytes)
{
    fuzz::put_crc(bytes, 0, repo::kPackHeaderSize - 4);
    std::size_t at = repo::kPackHeaderSize;
    while (bytes.size() >= at &&
           bytes.size() - at >= repo::kFrameHeaderSize + repo::kPackTrailerSize) {
        std::uint32_t stored = base::load_u32(bytes.data() + at + 20);
        std::size_t body = at + repo::kFrameHeaderSize;
        if (stored > bytes.size() - body) break;
        fuzz::put(bytes, at + 36, stream::sha16(base::ByteView(bytes).subspan(body, stored)));
        fuzz::put_crc(bytes, at, at + 52);
        at = body + stored;
    }
    fuzz::put_crc(bytes, at, at + repo::kPackTrailerSize - 4);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    fuzz::Input input(data, size);
    if (input.reseal) reseal(input.bytes);
    try {
        repo::BytesSource source(input.bytes);
        repo::parse_pack(source, kPack, {.unpack = true, .frame = {}});
    } catch (const base::Error&) {
    }
    return 0;
}
