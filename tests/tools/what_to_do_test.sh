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

sources="src/engine/postgres/checks.cpp src/engine/postgres/setting_checks.cpp src/engine/postgres/decision_check.cpp
    src/app/cli/check_command.cpp
    src/app/cli/check_repository.cpp src/app/cli/clock_check.cpp src/app/cli/password_check.cpp src/job/log_checks.cpp"
# As an argument, as a field, as a variable; of names made of a beginning ("grant_"), the beginning.
checks=$(cat $sources | tr '\n' ' ' |
    grep -oE '\b((ok|failed|waiting|fine)\(|name =) *"[a-z_]+"' | sed 's/.*"\(.*[a-z]\)_*"/\1/' | sort -u)
[ "$(printf '%s\n' "$checks" | wc -l)" -gt 30 ] || fail "too few checks found in the sources"
for check in chain identity slot_position stray_slot standby went_back wal_level_lowered grant decision_table configuration_files synchronous_standby; do
    printf '%s\n' "$checks" | grep -qx "$check" || fail "the check $check is not found in the sources"
done
for check in $checks; do
    grep -qx "## $check" $page || fail "no section '## $check'"
done

# The result of a run goes to stdout, and cron mails whatever it sees there.
crontabs=$(grep -hE '^[*0-9/,-]+( +[*0-9/,-]+){4} .*tidemark run' README.md docs/*.md docs/guide/*.md)
[ -n "$crontabs" ] || fail "no crontab line found in the guide"
if printf '%s\n' "$crontabs" | grep -v '>/dev/null$'; then fail "this crontab line mails every run"; fi
# A drill with -q says nothing when all is well, and the whole report when it is not.
drills=$(grep -hE '^[*0-9/,-]+( +[*0-9/,-]+){4} .*tidemark drill' README.md docs/*.md docs/guide/*.md)
[ -n "$drills" ] || fail "no crontab line of a drill found in the guide"
if printf '%s\n' "$drills" | grep -v -e ' -q'; then fail "this crontab line mails every drill"; fi
if printf '%s\n' "$drills" | grep '>/dev/null'; then fail "this crontab line hides a failed drill"; fi

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
