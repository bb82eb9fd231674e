#!/bin/sh
# docs/guide/what-to-do.md has a section for every exit code of the guide and every check of the program, and no link
# of the guide leads nowhere.
set -eu
cd "$(dirname "$0")/../.."
page=docs/guide/what-to-do.md
fail() { printf 'what_to_do_test: %s\n' "$*" >&2; exit 1; }

codes=$(sed -n 's/^| \([0-9]*\) | \([a-z_]*\) |.*/\1 \2/p' docs/guide/exit-codes.md | grep -v '^0 ')
[ "$(printf '%s\n' "$codes" | wc -l)" -gt 10 ] || fail "exit-codes.md holds too few codes"
printf '%s\n' "$codes" | while read -r number name; do
    grep -qx "## $number $name" $page || fail "no section '## $number $name'"
done

checks=$(cat src/engine/postgres/checks.cpp src/app/cli/check_command.cpp | tr '\n' ' ' |
    grep -oE '\b(ok|failed|waiting|fine)\( *"[a-z_]+"' | sed 's/.*"\(.*\)"/\1/' | sort -u)
[ "$(printf '%s\n' "$checks" | wc -l)" -gt 20 ] || fail "too few checks found in the sources"
for check in $checks; do
    grep -qx "## $check" $page || fail "no section '## $check'"
done

# The result of a run goes to stdout, and cron mails whatever it sees there.
crontabs=$(grep -hE '^[*0-9/,-]+( +[*0-9/,-]+){4} .*tidemark run' README.md docs/*.md docs/guide/*.md)
[ -n "$crontabs" ] || fail "no crontab line found in the guide"
if printf '%s\n' "$crontabs" | grep -v '>/dev/null$'; then fail "this crontab line mails every run"; fi

for file in docs/*.md docs/guide/*.md; do
    grep -oE '\]\([^)#:]+\.md' "$file" | sed 's/](//' | while read -r target; do
        [ -f "$(dirname "$file")/$target" ] || fail "$file links to $target, which is not there"
    done
    grep -oE '\]\([a-z-]*(\.md)?#[^)]+' "$file" | sed 's/](//' | while IFS='#' read -r target anchor; do
        aim=$(dirname "$file")/${target:-$(basename "$file")}
        sed -n 's/^##* //p' "$aim" | tr 'A-Z ' 'a-z-' | tr -cd 'a-z0-9_\n-' | grep -qx "$anchor" ||
            fail "$file links to #$anchor, which $aim does not have"
    done
done
echo "what_to_do_test: ok"
