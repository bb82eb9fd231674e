#include "base/error.h"
#include "engine/postgres/conf_file.h"
#include "engine/postgres/control_file.h"
#include "engine/postgres/recovery_log.h"
#include "reseal.h"

using namespace tidemark;
using namespace tidemark::engine::postgres;

/// Small foreign texts and structures that a restore reads: pg_control, postgresql.conf, a
/// server's log.
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
    auto text = base::as_text(input.bytes);
    edit_conf(text, {.settings = {{"port", "1"}, {"a", std::nullopt}}, .includes = {{"b", "c"}}});
    RecoveryLog log{1U << 20};
    log.feed(text);
    return 0;
}
