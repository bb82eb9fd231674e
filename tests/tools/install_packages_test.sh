#!/bin/sh
# tools/install-packages against a made-up system: stand-ins for dpkg-query, apt-get, apt-cache, sudo and id.
set -eu
tool=$(cd "$(dirname "$0")/../.." && pwd)/tools/install-packages
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
bin=$scratch/bin
mkdir "$bin"
for name in sh env mktemp grep rm chmod cat dirname basename; do
    ln -s "$(command -v "$name")" "$bin/$name"
done

fail() { printf 'install_packages_test: %s\n' "$*" >&2; exit 1; }
make_command() { cat >"$bin/$1"; chmod +x "$bin/$1"; }

# Installed is what stands in $scratch/installed; apt-get adds to it and leaves a trace.
make_command dpkg-query <<END
#!/bin/sh
for last; do :; done
grep -qx "\$last" $scratch/installed && printf installed
END
make_command apt-get <<END
#!/bin/sh
echo "apt-get \$*" >>$scratch/trace
[ ! -e $scratch/stale ] || case "\$*" in *install*) rm $scratch/stale; exit 100 ;; esac
case "\$*" in
    *install*) for p; do case "\$p" in -*|install) ;; *) echo "\$p" >>$scratch/installed ;; esac; done
        cat "\$PGSYSCONFDIR/createcluster.conf" >$scratch/createcluster.conf ;;
esac
END
make_command apt-cache <<END
#!/bin/sh
echo asked >>$scratch/cache
[ ! -e $scratch/no-lists ]
END
as_user() { printf '#!/bin/sh\necho %s\n' "$1" | make_command id; }
reset() { rm -f "$scratch/trace" "$scratch/stale" "$scratch/no-lists" "$bin/sudo"; : >"$scratch/installed"; as_user 0; }
run() { PATH=$bin "$tool" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null; }

reset
run test || fail "install failed: $(cat "$scratch/err")"
grep -qx "Packages to install: $("$tool" --list test | tr '\n' ' ' | sed 's/ $//')" "$scratch/err" || fail "packages not named first"
[ "$(grep -c . "$scratch/trace")" = 1 ] || fail "one call of apt-get expected: $(cat "$scratch/trace")"
grep -q "start_conf = 'manual'" "$scratch/createcluster.conf" || fail "a default cluster would be started"

rm "$scratch/trace"
run test || fail "second run failed"
if [ -e "$scratch/trace" ] || [ -s "$scratch/err" ]; then fail "the second run touched apt"; fi

reset; echo libgtest-dev >"$scratch/installed"
run test
! grep -q libgtest-dev "$scratch/trace" || fail "installed a package again"

reset; : >"$scratch/no-lists"
run test
head -n 1 "$scratch/trace" | grep -q update || fail "empty package lists were not updated"

reset; : >"$scratch/stale"
run test || fail "stale lists were not mended"
[ "$(grep -c update "$scratch/trace")" = 1 ] || fail "one update expected after a failed install"

reset; as_user 1000
if run test; then fail "installed without root and without sudo"; fi
grep -q 'apt-get install --no-install-recommends libgtest-dev' "$scratch/err" || fail "no command named for root"
[ ! -e "$scratch/trace" ] || fail "apt-get was run without root"

make_command sudo <<'END'
#!/bin/sh
[ "$1" = -n ] || exit 9
shift
exec "$@"
END
run test || fail "sudo was not used: $(cat "$scratch/err")"

reset; run --dry-run test
[ ! -e "$scratch/trace" ] || fail "--dry-run installed"
if run nonsense; then fail "unknown purpose accepted"; fi
echo "install_packages_test: ok"
