#!/bin/sh
# Plants one violation of each kind in a small copy of the house; room-lint must name each, and no other line.
set -eu
lint=$(cd "$(dirname "$0")/../.." && pwd)/tools/room-lint
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() { printf 'room_lint_test: %s\n' "$*" >&2; exit 1; }

plant() { # path, include line
    mkdir -p "$scratch/src/$(dirname "$1")"
    printf '#pragma once\n#include %s\n' "$2" >"$scratch/src/$1"
}

expect_clean() {
    plant "$1" "$2"
    out=$("$lint" "$scratch" 2>&1) || fail "refused $2 in $1: $out"
    [ -z "$out" ] || fail "not silent about $2 in $1: $out"
    rm -rf "$scratch/src"
}

expect_refused() {
    plant "$1" "$2"
    if out=$("$lint" "$scratch" 2>&1); then fail "accepted $2 in $1"; fi
    case "$out" in
        "src/$1:"*) ;;
        *) fail "did not name src/$1: $out" ;;
    esac
    rm -rf "$scratch/src"
}

expect_clean base/fd.cpp '<unistd.h>'
expect_clean job/backup.cpp '"engine/engine.h"'
expect_clean repo/pack.cpp '"store/storage.h"'
expect_clean repo/pack_test.cpp '"store/memory.h"'
expect_clean job/backup_test.cpp '"store/memory.h"'
expect_clean app/cli/open.cpp '"store/posix.h"'
expect_clean engine/postgres/pq.cpp '<libpq-fe.h>'
expect_clean stream/zstd.cpp '<zstd.h>'
expect_clean repo/manifest.cpp '<nlohmann/json.hpp>'

expect_refused model/mark.h '"engine/engine.h"'
expect_refused base/log.h '"model/mark.h"'
expect_refused base/log.cpp '"base/fd.cpp"'
expect_refused base/log.cpp '<vector>
using std::vector;'
expect_clean base/log.cpp '<vector>
using std::vector;
vector<int> numbers;'
expect_refused engine/session.cpp '"repo/pack.h"'
expect_refused repo/pack.cpp '"engine/engine.h"'
expect_refused job/backup.cpp '"store/storage.h"'
expect_refused job/backup.cpp '"app/config.h"'
expect_refused job/backup.cpp '"engine/postgres/session.h"'
expect_refused repo/repository.cpp '"store/posix.h"'
expect_refused base/clock_test.cpp '"repo/pack.h"'
expect_refused engine/postgres/session.cpp '<libpq-fe.h>'
expect_refused repo/pack.cpp '<zstd.h>'
expect_refused engine/target.cpp '<openssl/evp.h>'
expect_refused app/main.cpp '<CLI/CLI.hpp>'
expect_refused app/serve.cpp '<toml++/toml.h>'
expect_refused repo/manifest.h '<nlohmann/json.hpp>'
expect_refused util/strings.h '<string>'
expect_refused attic/strings.h '<string>'
expect_refused model/mark.cpp '"mark.h"'
expect_refused model/mark.cpp '"wings/mark.h"'

# The length of a file is a warning, not an error.
mkdir -p "$scratch/src/base"
yes '// line' | head -n 501 >"$scratch/src/base/long.cpp"
out=$("$lint" "$scratch" 2>&1) || fail "a long file is not an error"
case "$out" in
    *"src/base/long.cpp has 501 lines"*) ;;
    *) fail "no warning about a long file: $out" ;;
esac
echo "room_lint_test: ok"
