# Sourced by tests in shell: throwaway servers below $top, of an account that may run them.
#   as              before a command: run as that account
#   start_server M USER   a server in live/M with its socket in sM
#   stop_servers FOLDER...  whatever runs there
# shellcheck shell=bash
pg=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
as=(env)
if [ "$(id -u)" = 0 ]; then
    as=(setpriv --reuid postgres --regid postgres --clear-groups env "HOME=$top")
    chown postgres "$top"
fi

start_server() {
    "${as[@]}" mkdir -p "$top/live" "$top/s$1"
    "${as[@]}" "$pg/initdb" -A trust -U "$2" --no-sync -D "$top/live/$1" >/dev/null
    "${as[@]}" tee -a "$top/live/$1/postgresql.conf" >/dev/null <<CONF
listen_addresses = ''
unix_socket_directories = '$top/s$1'
max_prepared_transactions = 10
max_slot_wal_keep_size = '1GB'
fsync = off
CONF
    "${as[@]}" "$pg/pg_ctl" -D "$top/live/$1" -l "$top/$1.log" -w start >/dev/null
}

stop_servers() {
    local data
    for data in "$@"; do
        [ -d "$data" ] && "${as[@]}" "$pg/pg_ctl" -D "$data" -m immediate stop >/dev/null 2>&1 || true
    done
}
