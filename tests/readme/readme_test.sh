#!/usr/bin/env bash
# Runs the lines that README.md shows for one's own clusters, on two throwaway ones with the settings that PostgreSQL
# has by default and those that README.md names. Urls, places and where the program is installed are this test's;
# everything else is as it stands there. Each line must end with exit code 0.
#   readme_test.sh TIDEMARK
set -euo pipefail
tidemark=$(readlink -f "$1")
source=$(cd "$(dirname "$0")/../.." && pwd)
top=$(mktemp -d /tmp/readme.XXXXXX)
. "$(dirname "$0")/../support/servers.sh"
cd "$top"
finish() {
    stop_servers "$top"/live/*
    rm -rf "$top"
}
trap finish EXIT
fail() { echo "readme_test: $*"; exit 1; }

# The first block of code of a kind below the heading.
block() {
    awk -v fence="\`\`\`$1" '/^## / { here = /^## Your own clusters/ } here && $0 == fence { inside = 1; next }
        inside && /^```/ { exit } inside' "$source/README.md"
}
# Lines that end in a backslash are joined, remarks dropped.
block sh |
    sed -e ':join' -e '/\\$/ { N; s/\\\n//; b join' -e '}' -e 's/ *#.*//' | sed 's/  */ /g' >lines
# Was everything found that is to be run? A word that vanishes from README.md is no reason to pass.
for words in 'make build && sudo make install' 'tidemark init' 'tidemark check' 'tidemark backup' 'tidemark mark' 'tidemark run' \
    'tidemark list' 'tidemark restore'; do
    grep -q "^$words" lines || fail "README.md does not show \`$words\` any more"
done
grep -q -- '--plan' lines || fail "README.md does not show --plan any more"
block sql >settings
for setting in max_slot_wal_keep_size max_prepared_transactions; do
    grep -q "ALTER SYSTEM SET $setting = " settings || fail "README.md does not name $setting any more"
done

for m in orders billing; do
    start_server "$m" admin
    # What a newcomer's server has, and then what README.md says.
    "${as[@]}" sed -i '/^max_slot_wal_keep_size/d; /^max_prepared_transactions/d' "$top/live/$m/postgresql.conf"
    "${as[@]}" "$pg/pg_ctl" -D "$top/live/$m" -l "$top/$m.log" -w restart >/dev/null
    [ "$("${as[@]}" "$pg/psql" -XAtq -h "$top/s$m" -U admin -d postgres -c 'SHOW max_slot_wal_keep_size')" = -1 ] ||
        fail "$m does not have the settings of a new server"
    "${as[@]}" "$pg/psql" -XAtq -v ON_ERROR_STOP=1 -h "$top/s$m" -U admin -d postgres <settings
    "${as[@]}" "$pg/pg_ctl" -D "$top/live/$m" -l "$top/$m.log" -w restart >/dev/null
    "${as[@]}" "$pg/psql" -XAtq -h "$top/s$m" -U admin -d postgres -c "CREATE TABLE t AS SELECT 17 AS v"
done

# In a url a folder with a socket is written with %2F.
socket() { printf %s "$top/s$1" | sed 's|/|%2F|g'; }
sed -i -e "s|@orders-db/|@$(socket orders)/|; s|@billing-db/|@$(socket billing)/|" \
    -e "s|/var/backups/tidemark|$top/repository|; s|/srv/restore|$top/restored|" \
    -e "s|^make build && sudo make install|$source/tools/install-files --program $tidemark --prefix $top/usr|" lines
if grep -nE '(-db/|/var/|/srv/)' lines; then fail "a place of README.md is not replaced"; fi
while read -r line; do
    [ -n "$line" ] || continue
    words=("${as[@]}" "PATH=$top/usr/bin:$PATH" "XDG_STATE_HOME=$top/state" TIDEMARK_CONFIG=)
    case "$line" in "$source"/*) words=() ;; esac # installing is root's
    read -r -a line_words <<<"$line"
    code=0
    "${words[@]}" "${line_words[@]}" >out 2>&1 </dev/null || code=$?
    [ "$code" = 0 ] || { cat out; fail "exit code $code: $line"; }
    case "$line" in
    *--plan) [ ! -e "$top/restored" ] || fail "--plan wrote something" ;;
    *" list marks "*) grep -q before-release out || { cat out; fail "the mark is not listed"; } ;;
    esac
done <lines

# What README.md says of it: stopped, and all of it there.
members=0
for data in "$top"/restored/*/data; do
    [ -f "$data/PG_VERSION" ] || fail "no cluster at $data"
    [ ! -e "$data/postmaster.pid" ] || fail "a restored server runs"
    members=$((members + 1))
done
[ "$members" = 2 ] || fail "$members members were restored"
echo "readme_test: every line of README.md ends with 0, and both clusters are restored"
