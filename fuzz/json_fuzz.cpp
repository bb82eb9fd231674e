#include "base/error.h"
#include "repo/backups.h"
#include "repo/drills.h"
#include "repo/holds.h"
#include "repo/identities.h"
#include "repo/intents.h"
#include "repo/joined.h"
#include "repo/lease_codec.h"
#include "repo/marks.h"
#include "repo/restore_book.h"
#include "repo/runs.h"
#include "repo/sets.h"
#include "repo/tombstones.h"
#include "reseal.h"

using namespace tidemark;

namespace {

const model::ObjectRef kObject{.key = "groups/g/x/0000000001", .size = 0, .sha256 = {}};

void reseal(base::Bytes& bytes)
{
    if (bytes.size() <= repo::kCheckFromEnd) return;
    fuzz::put(bytes, bytes.size() - repo::kCheckFromEnd, base::as_bytes(repo::json_check(bytes)));
}

/// What was read is written and read again the same.
template <typename Decode, typename Encode>
void round_trip(base::ByteView bytes, Decode decode, Encode encode)
{
    try {
        auto first = decode(bytes, kObject);
        auto second = decode(encode(first.value, first.header), kObject);
        if (!(first == second)) __builtin_trap();
    } catch (const base::Error&) {
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    fuzz::Input input(data, size);
    if (input.reseal) reseal(input.bytes);
    round_trip(input.bytes, repo::decode_mark, repo::encode_mark);
    round_trip(input.bytes, repo::decode_manifest, repo::encode_manifest);
    round_trip(input.bytes, repo::decode_set, repo::encode_set);
    round_trip(input.bytes, repo::decode_identity, repo::encode_identity);
    round_trip(input.bytes, repo::decode_run, repo::encode_run);
    round_trip(input.bytes, repo::decode_drill, repo::encode_drill);
    round_trip(input.bytes, repo::decode_tombstone, repo::encode_tombstone);
    round_trip(input.bytes, repo::decode_holds, repo::encode_holds);
    round_trip(input.bytes, repo::decode_joined, repo::encode_joined);
    round_trip(input.bytes, repo::decode_restores, repo::encode_restores);
    try {
        auto intent = repo::decode_intent(input.bytes, "intent");
        if (repo::decode_intent(repo::encode_intent(intent), "intent") != intent) __builtin_trap();
    } catch (const base::Error&) {
    }
    try {
        repo::decode_lease(input.bytes, "lease", {});
    } catch (const base::Error&) {
    }
    return 0;
}
