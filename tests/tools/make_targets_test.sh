#!/bin/sh
# Every `make TARGET` that the documents name exists, `make` alone lists the targets, and the files
# that the recipes call are there. So is every test that the table of rules in tests/README.md names.
set -eu
cd "$(dirname "$0")/../.."

fail() { printf 'make_targets_test: %s\n' "$*" >&2; exit 1; }

help=$(make --no-print-directory)
for target in build demo test bench torture soak test-versions fmt lint asan tsan fuzz deb install uninstall; do
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
# "Suite.Test", "Suite", or the name alone of another test of that suite; "..." and "*" for the rest of a name.
find src tests -name '*_test.cpp' -o -name '*_contract.cpp' | xargs cat | tr -s '\n ' ' ' |
    grep -oE '\b(TEST|TEST_F|TEST_P|TYPED_TEST|RC_GTEST_PROP|RC_GTEST_FIXTURE_PROP)\( ?\w+, ?\w+' |
    sed 's/.*( *//; s/, */./' |
    awk '
        NR == FNR { names[$0]; suites[substr($0, 1, index($0, ".") - 1)]; next }
        /^\| [0-9]+[a-z,0-9 ]* .*\| .* \|$/ {
            split($0, cells, "|"); cell = cells[3]; rule = cells[2]
            gsub(/\([^)]*\)/, "", cell); sub(/; torture *$/, "", cell)
            count = split(cell, words, /[,;]/)
            for (i = 1; i <= count; ++i) {
                n = split(words[i], parts, " "); word = parts[n]
                if (word == "") continue
                if (word in suites) { suite = word; ++seen; continue }
                pattern = word
                open = sub(/\.\.\.$/, "", pattern)
                dot = index(pattern, ".")
                if (dot) { suite = substr(pattern, 1, dot - 1); pattern = substr(pattern, dot + 1) }
                gsub(/\*/, "[A-Za-z0-9_]*", pattern)
                found = 0
                for (name in names)
                    if (name ~ "^" suite "[.]" pattern (open ? "" : "$")) found = 1
                if (!found) { print "no test " suite "." pattern " (rule" rule ")"; bad = 1 }
                ++seen
            }
        }
        END { if (seen < 100) { print "only " seen + 0 " names were found"; bad = 1 } exit bad }
    ' - tests/README.md >&2 || fail "tests/README.md names tests that are not there"
echo "make_targets_test: ok"
