#include "app/cli/decisions.h"
#include "base/check.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/temp_dir.h"
#include "engine/postgres/preflight.h"
#include "job/restore_state.h"
#include "repo/head_memory.h"

#include <fcntl.h>

using namespace tidemark;

/// Files that a host keeps between two runs: a restore's state, a server's postmaster.pid, an
/// operator's decisions, what was seen of a repository.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const base::TempDir folder;
    if (size < 1) return 0;
    auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
    auto put = [&](const char* name) {
        auto path = folder.path() / name;
        base::write_full(base::open_file(path, O_WRONLY | O_CREAT | O_TRUNC).get(), bytes, name);
        return path;
    };
    try {
        switch (data[0] % 4) {
        case 0: {
            auto state = job::load_restore_state(put("state.json"));
            CHECK(state && !job::phase_name(state->phase).empty());
            job::save_restore_state(folder.path() / "again.json", *state);
            CHECK(job::load_restore_state(folder.path() / "again.json") == state);
            break;
        }
        case 1:
            put("postmaster.pid");
            engine::postgres::read_pid_file(folder.path());
            break;
        case 2:
            app::parse_decisions(base::as_text(bytes), "decisions");
            break;
        default:
            put("00000000000000000000000000000001.json");
            repo::HeadMemory(folder.path()).recall("00000000000000000000000000000001", "g");
        }
    } catch (const base::Error&) {
    }
    return 0;
}
