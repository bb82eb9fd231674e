#include "base/error.h"
#include "repo/bytes_source.h"
#include "repo/page_map.h"
#include "reseal.h"
#include "stream/checksum.h"

using namespace tidemark;

namespace {

/// Makes header, chunks and trailer pass their checks, as far as the chunks' lengths allow.
void reseal(base::Bytes& bytes)
{
    fuzz::put_crc(bytes, 0, repo::kPageMapHeaderSize - 4);
    std::size_t at = repo::kPageMapHeaderSize;
    std::uint32_t number = 0;
    while (bytes.size() >= at &&
           bytes.size() - at >= repo::kChunkHeaderSize + repo::kPageMapTrailerSize) {
        std::size_t room = bytes.size() - at - repo::kChunkHeaderSize - repo::kPageMapTrailerSize;
        std::uint32_t length = base::load_u32(bytes.data() + at + 12);
        if (length == 0 || length > room) break;
        std::size_t payload = at + repo::kChunkHeaderSize;
        fuzz::put(bytes, at + 4, std::as_bytes(std::span(&number, 1)));
        fuzz::put(bytes, at + 16, stream::sha16(base::ByteView(bytes).subspan(payload, length)));
        fuzz::put_crc(bytes, at, payload - 4);
        at = payload + length;
        ++number;
    }
    fuzz::put_crc(bytes, at, at + repo::kPageMapTrailerSize - 4);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    fuzz::Input input(data, size);
    if (input.reseal) reseal(input.bytes);
    repo::PageMapVisitor visitor;
    repo::BytesSource source(input.bytes);
    try {
        repo::parse_page_map(source, visitor);
    } catch (const base::Error&) {
    }
    return 0;
}
