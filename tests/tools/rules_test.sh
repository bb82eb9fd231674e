#!/bin/sh
# docs/rules.md holds the rules 1, 2, 3, ... and every one that the sources, the tests and the documents cite by its number.
set -eu
cd "$(dirname "$0")/../.."
page=docs/rules.md
fail() { printf 'rules_test: %s\n' "$*" >&2; exit 1; }

rules=$(sed -n 's/^\([0-9]*\)\. .*/\1/p' $page)
count=$(printf '%s\n' "$rules" | wc -l)
[ "$count" -ge 40 ] || fail "$page holds only $count rules"
[ "$rules" = "$(seq "$count")" ] || fail "the rules of $page are not numbered 1 to $count"

# "rules.md 13", "rule 5, 13: why", "rules 10, 13 and 14", also with the end of a comment's line between; and the rows of the table.
cited=$({
    find src tests fuzz bench docs -type f \( -name '*.h' -o -name '*.cpp' -o -name '*.sh' -o -name '*.md' \) \
        ! -path $page ! -path tests/tools/rules_test.sh -print0 | xargs -0 cat | tr '\n' ' ' | sed 's|  *//[/<!]* *| |g' |
        grep -oE '\brules?(\.md)? [0-9]+((,| and| to|, and) [0-9]+)*'
    sed -n 's/^| \([0-9][0-9, ]*\) .*|.*|$/\1/p' tests/README.md
} | grep -oE '[0-9]+' | sort -nu)
[ "$(printf '%s\n' "$cited" | wc -l)" -gt 30 ] || fail "too few citations found"
for number in $cited; do
    printf '%s\n' "$rules" | grep -qx "$number" || fail "rule $number is cited, but $page does not have it"
done
echo "rules_test: ok"
