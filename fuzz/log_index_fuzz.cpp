#include "base/check.h"
#include "base/error.h"
#include "repo/index_codec.h"
#include "reseal.h"

using namespace tidemark;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    fuzz::Input input(data, size);
    if (input.reseal && input.bytes.size() >= 4)
        fuzz::put_crc(input.bytes, 0, input.bytes.size() - 4);
    try {
        auto stored = repo::decode_index(input.bytes);
        // What was read can be written and reads the same.
        CHECK(repo::decode_index(repo::encode_index(stored)) == stored);
    } catch (const base::Error&) {
    }
    return 0;
}
