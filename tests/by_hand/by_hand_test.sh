#!/usr/bin/env bash
# Follows "Restore by hand" of docs/repository-format.md on a repository that Tidemark has just written.
# Member `a` has a tablespace and fails over to what it was before its second base backup: the mark lies on timeline 2,
# what leads to it begins on timeline 1, and the newer base backup on a branch that was abandoned.
#   by_hand_test.sh TIDEMARK
set -euo pipefail
tidemark=$(readlink -f "$1")
here=$(cd "$(dirname "$0")" && pwd)
top=$(mktemp -d /tmp/by-hand.XXXXXX)
. "$(dirname "$0")/../support/servers.sh"
cp "$here/restore-member.pl" "$top/"
chmod 755 "$top/restore-member.pl"
install -m 755 "$tidemark" "$top/tidemark"
cd "$top"
finish() {
    stop_servers "$top"/live/* "$top"/out/*/data
    rm -rf "$top"
}
trap finish EXIT
fail() { echo "FAILED: $*"; exit 1; }
sql() { "${as[@]}" "$pg/psql" -XAtq -h "$1" -U postgres -d postgres -c "$2"; }

tidemark() { "${as[@]}" "$top/tidemark" --config tm.toml -q "$@" >/dev/null; }
control() { "${as[@]}" "$pg/pg_ctl" -D "live/$1" -w "${@:2}" >/dev/null; }

"${as[@]}" mkdir out spaces spaces/a
for m in a b; do
    start_server "$m" postgres
    sql "$top/s$m" "CREATE TABLE t (v int); CREATE TABLE filler AS SELECT i, md5(i::text) FROM generate_series(1, 30000) i"
done
"${as[@]}" "$top/tidemark" --config tm.toml init "a=host=$top/sa user=postgres dbname=postgres" "b=host=$top/sb user=postgres dbname=postgres" --repo "$top/repo" --group g >/dev/null
sql "$top/sa" "CREATE TABLESPACE space LOCATION '$top/spaces/a'"
sql "$top/sa" "CREATE TABLE aside TABLESPACE space AS SELECT i, md5(i::text) FROM generate_series(1, 30000) i"
tidemark backup
# What a standby would hold that lags behind: `a` goes on, with a base backup of its own, and is then lost.
control a stop
"${as[@]}" cp -a live/a lagging
"${as[@]}" cp -a spaces/a lagging-space
control a -l "$top/a.log" start
sql "$top/sa" "INSERT INTO t VALUES (7)"
tidemark backup
control a stop
rm -rf live/a spaces/a
mv lagging live/a
mv lagging-space spaces/a
"${as[@]}" touch live/a/standby.signal
control a -l "$top/a.log" start
control a promote
# Timeline 2 gets past the offset at which the lost base backup ended.
sql "$top/sa" "INSERT INTO aside SELECT i, md5(i::text) FROM generate_series(30001, 60000) i; SELECT pg_switch_wal()" >/dev/null
sql "$top/sa" "INSERT INTO aside SELECT i, md5(i::text) FROM generate_series(60001, 90000) i; SELECT pg_switch_wal()" >/dev/null
for m in a b; do sql "$top/s$m" "BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'pay'"; done
sql "$top/sa" "COMMIT PREPARED 'pay'"
code=0
tidemark mark 2>warned || code=$?
[ "$code" = 3 ] && grep -q 'abandoned branch' warned || { cat warned; fail "the failover was not seen: exit $code"; }
for m in a b; do sql "$top/s$m" "INSERT INTO t VALUES (2)"; done
tidemark log
for m in a b; do "${as[@]}" "$pg/pg_ctl" -D "live/$m" -m immediate stop >/dev/null; done

for m in a b; do
    "${as[@]}" mkdir -p "out/$m/sock"
    "${as[@]}" perl "$top/restore-member.pl" "$top/repo" g 3 "$m" "$top/out/$m" | tee "out-$m.txt"
    cut=$(awk '$1 == "cut" {print $2}' "out-$m.txt")
    timeline=$(awk '$1 == "timeline" {print $2}' "out-$m.txt")
    # Step 7: a configuration of one's own; nothing of the backup's is in force.
    "${as[@]}" tee "out/$m/own.conf" >/dev/null <<CONF
data_directory = '$top/out/$m/data'
hba_file = '$top/out/$m/data/pg_hba.conf'
ident_file = '$top/out/$m/data/pg_ident.conf'
listen_addresses = ''
unix_socket_directories = '$top/out/$m/sock'
max_prepared_transactions = 10
hot_standby = off
archive_mode = off
restore_command = 'cp "$top/out/$m/wal/%f" "%p"'
recovery_target_lsn = '$cut'
recovery_target_inclusive = off
recovery_target_timeline = '$timeline'
recovery_target_action = 'promote'
CONF
    "${as[@]}" "$pg/pg_ctl" -D "$top/out/$m/data" -o "-c config_file=$top/out/$m/own.conf" -l "out-$m.log" -w start >/dev/null ||
        { tail -20 "out-$m.log"; fail "$m does not start"; }
done
grep -qx 'timeline 2' out-a.txt || fail "the mark of a does not lie on timeline 2"
grep -qx 'backup 1' out-a.txt || fail "a base backup on an abandoned branch was taken"
grep -qx 'backup 2' out-b.txt || fail "b: not its newest base backup"
# pg_ctl also calls a server ready that is still being promoted; it lets us in a moment later.
for m in a b; do
    for _ in $(seq 300); do
        "${as[@]}" "$pg/pg_isready" -q -h "$top/out/$m/sock" && continue 2
        sleep 0.1
    done
    tail -20 "out-$m.log"
    fail "$m does not let us in"
done
# Step 8: what is in doubt, by the mark's verdict.
[ "$(sql "$top/out/a/sock" 'SELECT count(*) FROM pg_prepared_xacts')" = 0 ] || fail "a has something in doubt"
[ "$(sql "$top/out/b/sock" 'SELECT gid FROM pg_prepared_xacts')" = pay ] || fail "b lacks the prepared transaction"
grep -qx 'in-doubt pay commit' out-b.txt || fail "the mark's verdict is not commit"
sql "$top/out/b/sock" "COMMIT PREPARED 'pay'"
for m in a b; do
    [ "$(sql "$top/out/$m/sock" 'SELECT string_agg(v::text, $$,$$) FROM t')" = 1 ] || fail "$m: wrong rows"
    [ "$(sql "$top/out/$m/sock" 'SELECT count(*) FROM filler')" = 30000 ] || fail "$m: filler"
done
[ "$(sql "$top/out/a/sock" 'SELECT count(*) FROM aside')" = 90000 ] || fail "the tablespace's table"
[ "$(sql "$top/out/a/sock" "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'space'")" = "$top/out/a/tablespaces/$(ls out/a/tablespaces)" ] ||
    fail "the tablespace is elsewhere"
echo "restored by hand: both members at the mark, the transfer on both sides, nothing after the mark"
