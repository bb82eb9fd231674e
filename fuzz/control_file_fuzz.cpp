#include "base/error.h"
#include "engine/postgres/control_file.h"
#include "reseal.h"

using namespace tidemark;
using namespace tidemark::engine::postgres;

/// pg_control.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    fuzz::Input input(data, size);
    for (std::size_t crc : {std::size_t{288}, std::size_t{292}}) {
        if (input.reseal && input.bytes.size() >= crc + 4) fuzz::put_crc(input.bytes, 0, crc);
        try {
            parse_control_file(input.bytes);
        } catch (const base::Error&) {
        }
    }
    return 0;
}
