#!/bin/sh
# tools/install-files where it may not write: one message with the next step, and nothing is left half done.
set -eu
tool=$(cd "$(dirname "$0")/../.." && pwd)/tools/install-files
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fail() { printf 'install_files_test: %s\n' "$*" >&2; exit 1; }
printf '#!/bin/sh\necho made\n' >"$scratch/program"
chmod +x "$scratch/program"

# A file in a folder's place: not even root can write below it.
: >"$scratch/file"
if "$tool" --program "$scratch/program" --prefix "$scratch/file/usr" >"$scratch/out" 2>&1; then fail "installed below a file"; fi
# shellcheck disable=SC2016
grep -q '`sudo make install`' "$scratch/out" || fail "no next step: $(cat "$scratch/out")"
if grep -q 'cannot create' "$scratch/out"; then fail "the shell's own message shows: $(cat "$scratch/out")"; fi

"$tool" --program "$scratch/program" --prefix "$scratch/usr" >"$scratch/out" 2>&1 || fail "did not install: $(cat "$scratch/out")"
[ -x "$scratch/usr/bin/tidemark" ] || fail "no program"
"$tool" --remove --prefix "$scratch/usr" >"$scratch/out" 2>&1 || fail "did not remove: $(cat "$scratch/out")"
[ ! -e "$scratch/usr/bin/tidemark" ] || fail "the program is still there"
echo "install_files_test: ok"
