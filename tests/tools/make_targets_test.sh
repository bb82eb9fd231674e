#!/bin/sh
# Every `make TARGET` that the documents name exists, `make` alone lists the targets, and the files
# that the recipes call are there.
set -eu
cd "$(dirname "$0")/../.."

fail() { printf 'make_targets_test: %s\n' "$*" >&2; exit 1; }

help=$(make --no-print-directory)
for target in build demo test bench torture test-versions fmt lint asan tsan fuzz deb install uninstall; do
    printf '%s\n' "$help" | grep -q "^make $target " || fail "make help does not list $target"
done

# In code only: `make demo` between backquotes or at the start of a line of an example.
documented=$(find README.md CONTRIBUTING.md docs -name '*.md' -exec cat {} + 2>/dev/null |
    grep -oE '(`|^)make [a-z-]+' | sed 's/.*make //' | sort -u)
[ -n "$documented" ] || fail "no document names a target"
for target in $documented; do
    make --no-print-directory -n "$target" >/dev/null 2>&1 || fail "there is no make $target"
done

scripts=$(grep -oE 'tools/[a-z-]+' Makefile | sort -u)
for script in $scripts; do
    [ -x "$script" ] || fail "the Makefile calls $script, which is not there"
done
echo "make_targets_test: ok"
