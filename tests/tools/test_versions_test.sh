#!/bin/sh
# tools/test-versions where one version is there already and npm cannot fetch another: that is no success, unless it
# is allowed. ctest, npm and node are stand-ins.
set -eu
source=$(cd "$(dirname "$0")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch/tools" "$scratch/bin" "$scratch/build/postgres-versions/16/bin"
cp "$source/tools/test-versions" "$source/tools/fetch-postgres" "$scratch/tools/"

fail() { printf 'test_versions_test: %s\n' "$*" >&2; cat "$scratch/out" >&2; exit 1; }
make_program() { cat >"$1"; chmod +x "$1"; }
printf '#!/bin/sh\nexit 0\n' | make_program "$scratch/build/postgres-versions/16/bin/postgres"
printf '#!/bin/sh\nexit 0\n' | make_program "$scratch/bin/node"
printf '#!/bin/sh\necho "npm: no network" >&2\nexit 1\n' | make_program "$scratch/bin/npm"
make_program "$scratch/bin/ctest" <<END
#!/bin/sh
echo "\$TIDEMARK_POSTGRES_BIN" >>$scratch/tested
[ ! -e $scratch/tests-fail ]
END
run() { # expected exit code, arguments
    want=$1
    shift
    : >"$scratch/tested"
    code=0
    PATH="$scratch/bin:$PATH" "$scratch/tools/test-versions" "$@" >"$scratch/out" 2>&1 </dev/null || code=$?
    [ "$code" = "$want" ] || fail "exit $code instead of $want: test-versions $*"
}

run 0 16
grep -qx "$scratch/build/postgres-versions/16/bin" "$scratch/tested" || fail "the servers of 16 were not used"
run 1 16 17
grep -qx 'passed: 16; failed: none; skipped: 17' "$scratch/out" || fail "not said what was skipped"
run 1 17 16
run 0 --allow-skipped 16 17
grep -qx 'passed: 16; failed: none; skipped: 17' "$scratch/out" || fail "not said what was skipped"
run 1 --allow-skipped 17
[ ! -s "$scratch/tested" ] || fail "tests were run without servers"
run 2 --allow-skip 16
: >"$scratch/tests-fail"
run 1 16
run 1 --allow-skipped 16 17
echo "test_versions_test: ok"
